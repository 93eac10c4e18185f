import fleetlog.v1.Attribute;
import fleetlog.v1.IngestServiceGrpc;
import fleetlog.v1.LogBatch;
import fleetlog.v1.LogRecord;
import fleetlog.v1.PushLogsRequest;
import fleetlog.v1.Severity;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import java.util.UUID;
import java.util.concurrent.TimeUnit;

/**
 * Sends three batches with grpc-java, one per call: mvn -q compile exec:java -Dexec.args=127.0.0.1:50051
 *
 * What a device adds to this: it sends a batch again, with backoff, until it is acknowledged.
 */
class Example {
  public static void main(String[] args) throws Exception {
    var address = args.length > 0 ? args[0] : "127.0.0.1:50051";
    var channel = Grpc.newChannelBuilder(address, InsecureChannelCredentials.create()).build();
    var client = IngestServiceGrpc.newBlockingStub(channel);
    var session = UUID.randomUUID().toString(); // another one at every boot
    for (var sequence = 1; sequence <= 3; sequence++) {
      var record = LogRecord.newBuilder()
          .setTimeUnixNano(System.currentTimeMillis() * 1_000_000)
          .setSeverity(Severity.SEVERITY_INFO)
          .setMessage("hello " + sequence + " from grpc-java")
          .addAttributes(Attribute.newBuilder().setKey("celsius").setDoubleValue(21.5));
      var batch = LogBatch.newBuilder()
          .setDeviceId("example-java").setSessionId(session).setSequence(sequence).addRecords(record);
      var ack = client.withDeadlineAfter(10, TimeUnit.SECONDS)
          .pushLogs(PushLogsRequest.newBuilder().setBatch(batch).build()).getAck();
      System.out.printf("batch %d: %d accepted%n", ack.getSequence(), ack.getAccepted());
    }
    channel.shutdown().awaitTermination(5, TimeUnit.SECONDS);
  }
}
