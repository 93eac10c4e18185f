// Streams three batches with tonic and prints what becomes of each.
//
//   cargo run -- http://127.0.0.1:50051
//
// What a device adds to this: it keeps each batch until its ack has come, and when the stream ends before, it opens
// another and sends what is left again.

use pb::{LogBatch, LogRecord, Severity, StreamLogsRequest, attribute::Value};
use std::time::{SystemTime, UNIX_EPOCH};

mod pb {
    tonic::include_proto!("fleetlog.v1");
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or("http://127.0.0.1:50051".into());
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() as u64;
    let batches = (1..=3).map(move |sequence| StreamLogsRequest {
        batch: Some(LogBatch {
            device_id: "example-rust".into(),
            session_id: format!("{now:x}"), // another one at every boot
            sequence,
            records: vec![LogRecord {
                time_unix_nano: now,
                severity: Severity::Info.into(),
                message: format!("hello {sequence} from tonic"),
                attributes: vec![pb::Attribute {
                    key: "celsius".into(),
                    value: Some(Value::DoubleValue(21.5)),
                }],
                ..Default::default()
            }],
            ..Default::default()
        }),
        ..Default::default()
    });
    let mut client = pb::ingest_service_client::IngestServiceClient::connect(address).await?;
    let mut acks = client
        .stream_logs(tokio_stream::iter(batches))
        .await?
        .into_inner();
    while let Some(response) = acks.message().await? {
        let Some(ack) = response.ack else { continue }; // a heartbeat
        println!(
            "batch {}: {} accepted {:?}",
            ack.sequence, ack.accepted, ack.error
        );
    }
    Ok(())
}
