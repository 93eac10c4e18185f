// A device made of generated tonic code alone: behave ADDRESS DEVICE BEHAVIOUR (see test/behaviours.test.ts).

use pb::{Ack, Attribute, LogBatch, LogRecord, PushLogsRequest, Severity, StreamLogsRequest, attribute::Value};
use prost::Message;
use serde_json::{Value as Json, json};
use std::time::Duration;
use tonic::{Code, Request, Status, codec::CompressionEncoding::Gzip, transport::Channel};
use tonic_types::StatusExt;

mod pb {
    tonic::include_proto!("fleetlog.v1");
}

type Client = pb::ingest_service_client::IngestServiceClient<Channel>;
const TIMEOUT: Duration = Duration::from_secs(60);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let client = Client::connect(format!("http://{}", args[1])).await?;
    let device = Device { id: args[2].clone(), client };
    let found = match args[3].as_str() {
        "unary" => device.unary().await?,
        "pipelined" => device.pipelined().await?,
        "deadline" => device.deadline().await?,
        "cancel" => device.cancel().await?,
        "gzip" => device.gzip().await?,
        "again" => device.again().await?,
        "reencoded" => device.reencoded().await?,
        "invalid" => device.invalid().await?,
        "moved" => device.moved().await?,
        "limits" => device.limits().await?,
        other => panic!("no behaviour {other}"),
    };
    println!("{found}");
    Ok(())
}

struct Device {
    id: String,
    client: Client,
}

impl Device {
    fn batch(&self, sequence: u64, records: usize) -> LogBatch {
        let attribute = |key: &str, value| Attribute { key: key.into(), value: Some(value) };
        let record = |index| LogRecord {
            time_unix_nano: 1_767_225_600_000_000_000 + sequence,
            severity: Severity::Info.into(),
            message: format!("batch {sequence} record {index}"),
            attributes: vec![
                attribute("zone", Value::StringValue("north".into())),
                attribute("count", Value::IntValue(-(sequence as i64))),
                attribute("ratio", Value::DoubleValue(0.5)),
                attribute("ok", Value::BoolValue(true)),
            ],
            ..Default::default()
        };
        LogBatch {
            device_id: self.id.clone(),
            session_id: "boot-1".into(),
            sequence,
            records: (0..records).map(record).collect(),
            ..Default::default()
        }
    }

    fn batches(&self, sequences: std::ops::RangeInclusive<u64>, records: usize) -> Vec<LogBatch> {
        sequences.map(|sequence| self.batch(sequence, records)).collect()
    }

    fn gzipping(&self) -> Client {
        self.client.clone().send_compressed(Gzip).accept_compressed(Gzip)
    }

    async fn unary(&self) -> Result<Json, Status> {
        Ok(json!({ "accepted": push(&self.client, self.batch(1, 3), TIMEOUT).await?.accepted }))
    }

    async fn pipelined(&self) -> Result<Json, Status> {
        let mut sequences = Vec::new();
        let batches = self.batches(1..=1000, 1);
        stream(&self.client, batches, Duration::ZERO, |ack| sequences.push(ack.sequence)).await?;
        Ok(json!({ "acks": sequences.len(), "in_order": sequences.iter().copied().eq(1..=1000) }))
    }

    async fn deadline(&self) -> Result<Json, Status> {
        let late = push(&self.client, self.batch(1, 1), Duration::from_micros(1)).await;
        // tonic reports a deadline of its own as CANCELLED.
        let code = late.err().map_or(0, |status| if status.code() == Code::Cancelled { 4 } else { status.code() as i32 });
        Ok(json!({ "code": code, "accepted": push(&self.client, self.batch(1, 1), TIMEOUT).await?.accepted }))
    }

    async fn cancel(&self) -> Result<Json, Status> {
        let batches = self.batches(1..=50, 1);
        let (sender, receiver) = tokio::sync::mpsc::channel(64);
        for batch in &batches {
            sender.send(in_stream(batch.clone())).await.expect("capacity");
        }
        let requests = tokio_stream::wrappers::ReceiverStream::new(receiver);
        let mut responses = self.client.clone().stream_logs(requests).await?.into_inner();
        for _ in 0..5 {
            responses.message().await?;
        }
        drop(responses); // which is how tonic cancels
        drop(sender);
        let mut acks = 0;
        stream(&self.client, batches, Duration::ZERO, |_| acks += 1).await?;
        Ok(json!({ "code": 1, "acks": acks }))
    }

    async fn gzip(&self) -> Result<Json, Status> {
        let client = self.gzipping();
        let mut accepted = push(&client, self.batch(1, 100), TIMEOUT).await?.accepted;
        stream(&client, self.batches(2..=11, 100), Duration::ZERO, |ack| accepted += ack.accepted).await?;
        Ok(json!({ "accepted": accepted }))
    }

    async fn again(&self) -> Result<Json, Status> {
        let batch = self.batch(1, 10);
        let mut accepted = Vec::new();
        for _ in 0..3 {
            accepted.push(push(&self.client, batch.clone(), TIMEOUT).await?.accepted);
        }
        Ok(json!({ "accepted": accepted }))
    }

    async fn reencoded(&self) -> Result<Json, Status> {
        let batch = self.batch(1, 10);
        let mut decoded = LogBatch::decode(batch.encode_to_vec().as_slice()).expect("its own bytes");
        decoded.records.iter_mut().for_each(|record| record.attributes.reverse());
        let first = push(&self.client, batch, TIMEOUT).await?.accepted;
        Ok(json!({ "accepted": [first, push(&self.client, decoded, TIMEOUT).await?.accepted] }))
    }

    async fn invalid(&self) -> Result<Json, Status> {
        let bad = LogBatch { device_id: "a b".into(), ..self.batch(1, 1) };
        let status = push(&self.client, bad.clone(), TIMEOUT).await.expect_err("it is invalid");
        let details = status.get_details_bad_request().expect("a BadRequest");
        let violation = &details.field_violations[0];
        let mut acks = Vec::new();
        stream(&self.client, vec![bad, self.batch(1, 1)], Duration::ZERO, |ack| acks.push(ack)).await?;
        let refused = acks[0].error.clone().unwrap_or_default();
        Ok(json!({
            "code": status.code() as i32, "field": violation.field, "description": violation.description,
            "stream": [refused.code, refused.field, acks[1].accepted],
        }))
    }

    /// Keeps what is not acknowledged, and sends it again on a new stream when the server ends the old one.
    async fn moved(&self) -> Result<Json, Status> {
        let mut pending = std::collections::VecDeque::from(self.batches(1..=400, 1));
        let mut reconnects = 0;
        while !pending.is_empty() {
            let batches = pending.iter().cloned().collect();
            let ended = stream(&self.client, batches, Duration::from_millis(30), |ack| {
                assert!(ack.error.is_none(), "{ack:?}");
                assert_eq!(ack.sequence, pending.pop_front().expect("a batch").sequence);
            });
            if let Err(status) = ended.await {
                if status.code() != Code::Unavailable || reconnects == 100 {
                    return Err(status);
                }
                reconnects += 1;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        Ok(json!({ "reconnects": reconnects, "left": pending.len() }))
    }

    async fn limits(&self) -> Result<Json, Status> {
        let found = self.client.clone().get_limits(pb::GetLimitsRequest {}).await?.into_inner();
        let has_time = found.server_time_unix_nano > 1_767_225_600_000_000_000;
        Ok(json!({ "records_max": found.records_max, "has_time": has_time }))
    }
}

fn in_stream(batch: LogBatch) -> StreamLogsRequest {
    StreamLogsRequest { batch: Some(batch), ..Default::default() }
}

async fn push(client: &Client, batch: LogBatch, timeout: Duration) -> Result<Ack, Status> {
    let mut request = Request::new(PushLogsRequest { batch: Some(batch), ..Default::default() });
    request.set_timeout(timeout);
    Ok(client.clone().push_logs(request).await?.into_inner().ack.expect("an ack"))
}

async fn stream(
    client: &Client,
    batches: Vec<LogBatch>,
    pause: Duration,
    mut on_ack: impl FnMut(Ack),
) -> Result<(), Status> {
    let (sender, receiver) = tokio::sync::mpsc::channel(16);
    let feed = async move {
        for batch in batches {
            if sender.send(in_stream(batch)).await.is_err() {
                return; // the responses have the reason
            }
            tokio::time::sleep(pause).await;
        }
    };
    let read = async {
        let requests = tokio_stream::wrappers::ReceiverStream::new(receiver);
        let mut responses = client.clone().stream_logs(requests).await?.into_inner();
        while let Some(response) = responses.message().await? {
            response.ack.map(&mut on_ack);
        }
        Ok(())
    };
    let (_, ended) = tokio::join!(feed, read);
    ended
}
