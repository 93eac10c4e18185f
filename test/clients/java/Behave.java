import com.google.rpc.BadRequest;
import fleetlog.v1.Ack;
import fleetlog.v1.Attribute;
import fleetlog.v1.GetLimitsRequest;
import fleetlog.v1.IngestServiceGrpc;
import fleetlog.v1.LogBatch;
import fleetlog.v1.LogRecord;
import fleetlog.v1.PushLogsRequest;
import fleetlog.v1.Severity;
import fleetlog.v1.StreamLogsRequest;
import fleetlog.v1.StreamLogsResponse;
import io.grpc.Context;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.StreamObserver;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.stream.IntStream;

/** A device made of generated grpc-java code alone: Behave ADDRESS DEVICE BEHAVIOUR (see test/behaviours.test.ts). */
class Behave {
  static final int TIMEOUT_SECONDS = 60;
  static String device;
  static IngestServiceGrpc.IngestServiceBlockingStub blocking;
  static IngestServiceGrpc.IngestServiceStub async;

  public static void main(String[] args) throws Exception {
    var channel = Grpc.newChannelBuilder(args[0], InsecureChannelCredentials.create()).build();
    device = args[1];
    blocking = IngestServiceGrpc.newBlockingStub(channel);
    async = IngestServiceGrpc.newStub(channel);
    System.out.println(switch (args[2]) {
      case "unary" -> "{\"accepted\": %d}".formatted(push(batch(1, 3)).getAccepted());
      case "pipelined" -> pipelined();
      case "deadline" -> deadline();
      case "cancel" -> cancel();
      case "gzip" -> gzip();
      case "again" -> again();
      case "reencoded" -> reencoded();
      case "invalid" -> invalid();
      case "moved" -> moved();
      case "limits" -> limits();
      default -> throw new IllegalArgumentException(args[2]);
    });
    channel.shutdownNow().awaitTermination(5, TimeUnit.SECONDS);
  }

  static LogBatch batch(long sequence, int records) {
    var batch = LogBatch.newBuilder().setDeviceId(device).setSessionId("boot-1").setSequence(sequence);
    for (var index = 0; index < records; index++) {
      batch.addRecords(LogRecord.newBuilder()
          .setTimeUnixNano(1_767_225_600_000_000_000L + sequence)
          .setSeverity(Severity.SEVERITY_INFO)
          .setMessage("batch %d record %d".formatted(sequence, index))
          .addAttributes(Attribute.newBuilder().setKey("zone").setStringValue("north"))
          .addAttributes(Attribute.newBuilder().setKey("count").setIntValue(-sequence))
          .addAttributes(Attribute.newBuilder().setKey("ratio").setDoubleValue(0.5))
          .addAttributes(Attribute.newBuilder().setKey("ok").setBoolValue(true)));
    }
    return batch.build();
  }

  static List<LogBatch> batches(int first, int last, int records) {
    return IntStream.rangeClosed(first, last).mapToObj(sequence -> batch(sequence, records)).toList();
  }

  static Ack push(LogBatch batch) {
    return push(blocking.withDeadlineAfter(TIMEOUT_SECONDS, TimeUnit.SECONDS), batch);
  }

  static Ack push(IngestServiceGrpc.IngestServiceBlockingStub stub, LogBatch batch) {
    return stub.withWaitForReady().pushLogs(PushLogsRequest.newBuilder().setBatch(batch).build()).getAck();
  }

  /** Sends the batches on one stream; acknowledgements arrive meanwhile. Throws what ends the stream. */
  static void stream(IngestServiceGrpc.IngestServiceStub stub, List<LogBatch> batches, long pauseMs, Consumer<Ack> onAck)
      throws Exception {
    var ended = new CompletableFuture<Void>();
    var requests = stub.withWaitForReady().withDeadlineAfter(TIMEOUT_SECONDS, TimeUnit.SECONDS)
        .streamLogs(observer(onAck, ended));
    for (var batch : batches) {
      if (ended.isDone()) break;
      requests.onNext(StreamLogsRequest.newBuilder().setBatch(batch).build());
      if (pauseMs > 0) Thread.sleep(pauseMs);
    }
    if (!ended.isDone()) requests.onCompleted();
    try {
      ended.get(TIMEOUT_SECONDS, TimeUnit.SECONDS);
    } catch (java.util.concurrent.ExecutionException error) {
      throw (StatusRuntimeException) error.getCause();
    }
  }

  static StreamObserver<StreamLogsResponse> observer(Consumer<Ack> onAck, CompletableFuture<Void> ended) {
    return new StreamObserver<>() {
      public void onNext(StreamLogsResponse response) {
        if (response.hasAck()) onAck.accept(response.getAck());
      }

      public void onError(Throwable error) {
        ended.completeExceptionally(error);
      }

      public void onCompleted() {
        ended.complete(null);
      }
    };
  }

  static String pipelined() throws Exception {
    var sequences = new ArrayList<Long>();
    stream(async, batches(1, 1000, 1), 0, ack -> sequences.add(ack.getSequence()));
    var inOrder = IntStream.range(0, sequences.size()).allMatch(at -> sequences.get(at) == at + 1);
    return "{\"acks\": %d, \"in_order\": %b}".formatted(sequences.size(), inOrder);
  }

  static String deadline() {
    var code = 0;
    try {
      push(blocking.withDeadlineAfter(1, TimeUnit.MICROSECONDS), batch(1, 1));
    } catch (StatusRuntimeException error) {
      code = error.getStatus().getCode().value();
    }
    return "{\"code\": %d, \"accepted\": %d}".formatted(code, push(batch(1, 1)).getAccepted());
  }

  static String cancel() throws Exception {
    var batches = batches(1, 50, 1);
    var ended = new CompletableFuture<Void>();
    var five = new java.util.concurrent.CountDownLatch(5);
    try (var context = Context.current().withCancellation()) {
      context.run(() -> {
        var requests = async.withWaitForReady().streamLogs(observer(ack -> five.countDown(), ended));
        for (var batch : batches) requests.onNext(StreamLogsRequest.newBuilder().setBatch(batch).build());
      });
      five.await(TIMEOUT_SECONDS, TimeUnit.SECONDS);
    }
    var code = ended.handle((done, error) -> Status.fromThrowable(error).getCode().value()).get();
    var acks = new ArrayList<Ack>();
    stream(async, batches, 0, acks::add);
    return "{\"code\": %d, \"acks\": %d}".formatted(code, acks.size());
  }

  static String gzip() throws Exception {
    var pushed = push(blocking.withCompression("gzip").withDeadlineAfter(60, TimeUnit.SECONDS), batch(1, 100));
    var acks = new ArrayList<>(List.of(pushed));
    stream(async.withCompression("gzip"), batches(2, 11, 100), 0, acks::add);
    return "{\"accepted\": %d}".formatted(acks.stream().mapToInt(Ack::getAccepted).sum());
  }

  static String again() {
    var batch = batch(1, 10);
    var accepted = IntStream.range(0, 3).mapToObj(time -> push(batch).getAccepted()).toList();
    return "{\"accepted\": %s}".formatted(accepted);
  }

  static String reencoded() throws Exception {
    var batch = batch(1, 10);
    var decoded = LogBatch.parseFrom(batch.toByteArray()).toBuilder();
    for (var record : decoded.getRecordsBuilderList()) {
      var attributes = new ArrayList<>(record.getAttributesList());
      Collections.reverse(attributes);
      record.clearAttributes().addAllAttributes(attributes);
    }
    var accepted = List.of(push(batch).getAccepted(), push(decoded.build()).getAccepted());
    return "{\"accepted\": %s}".formatted(accepted);
  }

  static String invalid() throws Exception {
    var bad = batch(1, 1).toBuilder().setDeviceId("a b").build();
    try {
      push(bad);
      throw new AssertionError("accepted");
    } catch (StatusRuntimeException error) {
      var violation = StatusProto.fromThrowable(error).getDetails(0).unpack(BadRequest.class).getFieldViolations(0);
      var acks = new ArrayList<Ack>();
      stream(async, List.of(bad, batch(1, 1)), 0, acks::add);
      var refused = acks.get(0).getError();
      return "{\"code\": %d, \"field\": \"%s\", \"description\": \"%s\", \"stream\": [%d, \"%s\", %d]}".formatted(
          error.getStatus().getCode().value(), violation.getField(),
          violation.getDescription().replace("\"", "\\\""),
          refused.getCodeValue(), refused.getField(), acks.get(1).getAccepted());
    }
  }

  /** Keeps what is not acknowledged, and sends it again on a new stream when the server ends the old one. */
  static String moved() throws Exception {
    var pending = new ArrayDeque<>(batches(1, 400, 1));
    var reconnects = 0;
    while (!pending.isEmpty()) {
      try {
        stream(async, List.copyOf(pending), 30, ack -> {
          if (ack.hasError() || ack.getSequence() != pending.removeFirst().getSequence()) {
            System.err.println("unexpected ack: " + ack);
            System.exit(1);
          }
        });
      } catch (StatusRuntimeException error) {
        if (error.getStatus().getCode() != Status.Code.UNAVAILABLE || ++reconnects > 100) throw error;
        Thread.sleep(100);
      }
    }
    return "{\"reconnects\": %d, \"left\": %d}".formatted(reconnects, pending.size());
  }

  static String limits() {
    var found = blocking.withWaitForReady().getLimits(GetLimitsRequest.getDefaultInstance());
    var hasTime = found.getServerTimeUnixNano() > 1_767_225_600_000_000_000L;
    return "{\"records_max\": %d, \"has_time\": %b}".formatted(found.getRecordsMax(), hasTime);
  }
}
