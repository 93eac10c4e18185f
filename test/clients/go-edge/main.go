// Calls every RPC of Fleetlog once through one port with one client, and prints one JSON object per RPC.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"connectrpc.com/connect"
	pb "fleetlog.test/edge/gen/fleetlog/v1"
	"fleetlog.test/edge/gen/fleetlog/v1/fleetlogv1connect"
	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	health "google.golang.org/grpc/health/grpc_health_v1"
	reflection "google.golang.org/grpc/reflection/grpc_reflection_v1"
)

const callTimeout = 20 * time.Second

var (
	client  = flag.String("client", "grpc-go", "grpc-go, or connect-go's connect, connect-json, grpc, grpcweb")
	address = flag.String("address", "", "host:port")
	caFile  = flag.String("ca", "", "PEM file; with it, TLS")
	version = flag.Int("http", 2, "the version of HTTP, for connect-go")
	device  = flag.String("device", "edge", "the device to send as and to ask for")
)

type call struct {
	name string
	run  func(context.Context) error
}

func main() {
	flag.Parse()
	calls := connectCalls
	if *client == "grpc-go" {
		calls = grpcCalls
	}
	for _, call := range calls() {
		ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
		answer := map[string]string{"rpc": call.name, "error": ""}
		if err := call.run(ctx); err != nil {
			answer["error"] = err.Error()
		}
		cancel()
		line, _ := json.Marshal(answer)
		fmt.Println(string(line))
	}
}

func batch() *pb.LogBatch {
	return &pb.LogBatch{DeviceId: *device, Records: []*pb.LogRecord{{Message: "through " + *client}}}
}

func tlsConfig() *tls.Config {
	pem, err := os.ReadFile(*caFile)
	if err != nil {
		panic(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return &tls.Config{RootCAs: roots}
}

// --- connect-go ---------------------------------------------------------------------------------------------------

func httpClient() *http.Client {
	if *version == 1 {
		transport := &http.Transport{TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}}
		if *caFile != "" {
			transport.TLSClientConfig = tlsConfig()
		}
		return &http.Client{Transport: transport}
	}
	if *caFile != "" {
		return &http.Client{Transport: &http2.Transport{TLSClientConfig: tlsConfig()}}
	}
	return &http.Client{Transport: &http2.Transport{
		AllowHTTP: true,
		DialTLSContext: func(ctx context.Context, network, addr string, _ *tls.Config) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, addr)
		},
	}}
}

func connectCalls() []call {
	base := "http://" + *address
	if *caFile != "" {
		base = "https://" + *address
	}
	var options []connect.ClientOption
	switch *client {
	case "connect":
	case "connect-json":
		options = append(options, connect.WithProtoJSON())
	case "grpc":
		options = append(options, connect.WithGRPC())
	case "grpcweb":
		options = append(options, connect.WithGRPCWeb())
	default:
		panic(*client)
	}
	doer := httpClient()
	ingest := fleetlogv1connect.NewIngestServiceClient(doer, base, options...)
	query := fleetlogv1connect.NewQueryServiceClient(doer, base, options...)
	check := connect.NewClient[health.HealthCheckRequest, health.HealthCheckResponse](
		doer, base+"/grpc.health.v1.Health/Check", options...)
	reflect := connect.NewClient[reflection.ServerReflectionRequest, reflection.ServerReflectionResponse](
		doer, base+"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", options...)
	return []call{
		{"PushLogs", byConnect(ingest.PushLogs, &pb.PushLogsRequest{Batch: batch()})},
		{"StreamLogs", func(ctx context.Context) error {
			stream := ingest.StreamLogs(ctx)
			return converse(stream.Send, stream.CloseRequest, stream.Receive)
		}},
		{"GetSession", byConnect(ingest.GetSession, &pb.GetSessionRequest{DeviceId: *device, SessionId: "a"})},
		{"GetLimits", byConnect(ingest.GetLimits, &pb.GetLimitsRequest{})},
		{"ListLogs", byConnect(query.ListLogs, &pb.ListLogsRequest{})},
		{"TailLogs", func(ctx context.Context) error {
			stream, err := query.TailLogs(ctx, connect.NewRequest(&pb.TailLogsRequest{Last: 1}))
			if err != nil {
				return err
			}
			defer stream.Close()
			if !stream.Receive() {
				return errors.Join(errors.New("no message"), stream.Err())
			}
			return nil
		}},
		{"GetHistogram", byConnect(query.GetHistogram, &pb.GetHistogramRequest{})},
		{"GetStatistics", byConnect(query.GetStatistics, &pb.GetStatisticsRequest{})},
		{"ListFieldValues", byConnect(query.ListFieldValues, fieldValues())},
		{"ListDevices", byConnect(query.ListDevices, &pb.ListDevicesRequest{})},
		{"GetDevice", byConnect(query.GetDevice, &pb.GetDeviceRequest{DeviceId: *device})},
		{"ListDeadLetters", byConnect(query.ListDeadLetters, &pb.ListDeadLettersRequest{})},
		{"ListIncidents", byConnect(query.ListIncidents, &pb.ListIncidentsRequest{})},
		{"Health", byConnect(check.CallUnary, &health.HealthCheckRequest{})},
		{"Reflection", func(ctx context.Context) error {
			stream := reflect.CallBidiStream(ctx)
			return listServices(stream.Send, stream.CloseRequest, stream.Receive)
		}},
	}
}

func byConnect[Q, A any](
	rpc func(context.Context, *connect.Request[Q]) (*connect.Response[A], error), request *Q,
) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := rpc(ctx, connect.NewRequest(request))
		return err
	}
}

// --- grpc-go ------------------------------------------------------------------------------------------------------

func grpcCalls() []call {
	transport := insecure.NewCredentials()
	if *caFile != "" {
		transport = credentials.NewTLS(tlsConfig())
	}
	connection, err := grpc.NewClient(*address, grpc.WithTransportCredentials(transport))
	if err != nil {
		panic(err)
	}
	ingest := pb.NewIngestServiceClient(connection)
	query := pb.NewQueryServiceClient(connection)
	return []call{
		{"PushLogs", byGrpc(ingest.PushLogs, &pb.PushLogsRequest{Batch: batch()})},
		{"StreamLogs", func(ctx context.Context) error {
			stream, err := ingest.StreamLogs(ctx)
			if err != nil {
				return err
			}
			return converse(stream.Send, stream.CloseSend, stream.Recv)
		}},
		{"GetSession", byGrpc(ingest.GetSession, &pb.GetSessionRequest{DeviceId: *device, SessionId: "a"})},
		{"GetLimits", byGrpc(ingest.GetLimits, &pb.GetLimitsRequest{})},
		{"ListLogs", byGrpc(query.ListLogs, &pb.ListLogsRequest{})},
		{"TailLogs", func(ctx context.Context) error {
			stream, err := query.TailLogs(ctx, &pb.TailLogsRequest{Last: 1})
			if err != nil {
				return err
			}
			_, err = stream.Recv()
			return err
		}},
		{"GetHistogram", byGrpc(query.GetHistogram, &pb.GetHistogramRequest{})},
		{"GetStatistics", byGrpc(query.GetStatistics, &pb.GetStatisticsRequest{})},
		{"ListFieldValues", byGrpc(query.ListFieldValues, fieldValues())},
		{"ListDevices", byGrpc(query.ListDevices, &pb.ListDevicesRequest{})},
		{"GetDevice", byGrpc(query.GetDevice, &pb.GetDeviceRequest{DeviceId: *device})},
		{"ListDeadLetters", byGrpc(query.ListDeadLetters, &pb.ListDeadLettersRequest{})},
		{"ListIncidents", byGrpc(query.ListIncidents, &pb.ListIncidentsRequest{})},
		{"Health", byGrpc(health.NewHealthClient(connection).Check, &health.HealthCheckRequest{})},
		{"Reflection", func(ctx context.Context) error {
			stream, err := reflection.NewServerReflectionClient(connection).ServerReflectionInfo(ctx)
			if err != nil {
				return err
			}
			return listServices(stream.Send, stream.CloseSend, stream.Recv)
		}},
	}
}

func byGrpc[Q, A any](
	rpc func(context.Context, *Q, ...grpc.CallOption) (*A, error), request *Q,
) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := rpc(ctx, request)
		return err
	}
}

// --- streams in both directions -----------------------------------------------------------------------------------

// Over HTTP/2 one batch waits for the ack of the one before; over HTTP/1.1 a client has sent all before it reads.
func converse(
	send func(*pb.StreamLogsRequest) error,
	closeSend func() error,
	receive func() (*pb.StreamLogsResponse, error),
) error {
	const batches = 3
	isHalfDuplex := *version == 1 && *client != "grpc-go"
	acks := 0
	for range batches {
		if err := send(&pb.StreamLogsRequest{Batch: batch()}); err != nil {
			_, received := receive()
			return errors.Join(err, received)
		}
		if isHalfDuplex {
			continue
		}
		if err := receiveAck(receive); err != nil {
			return err
		}
		acks++
	}
	if err := closeSend(); err != nil {
		return err
	}
	for acks < batches {
		if err := receiveAck(receive); err != nil {
			return err
		}
		acks++
	}
	return nil
}

// A heartbeat has no ack.
func receiveAck(receive func() (*pb.StreamLogsResponse, error)) error {
	for {
		response, err := receive()
		if err != nil {
			return err
		}
		if response.GetAck() == nil {
			continue
		}
		if response.GetAck().GetAccepted() != 1 {
			return fmt.Errorf("accepted %d of 1", response.GetAck().GetAccepted())
		}
		return nil
	}
}

func listServices(
	send func(*reflection.ServerReflectionRequest) error,
	closeSend func() error,
	receive func() (*reflection.ServerReflectionResponse, error),
) error {
	request := &reflection.ServerReflectionRequest{
		MessageRequest: &reflection.ServerReflectionRequest_ListServices{},
	}
	if err := send(request); err != nil {
		_, received := receive()
		return errors.Join(err, received)
	}
	if err := closeSend(); err != nil {
		return err
	}
	response, err := receive()
	if err != nil {
		return err
	}
	for _, service := range response.GetListServicesResponse().GetService() {
		if service.GetName() == "fleetlog.v1.QueryService" {
			return nil
		}
	}
	return errors.New("QueryService is not listed")
}

func fieldValues() *pb.ListFieldValuesRequest {
	return &pb.ListFieldValuesRequest{Field: pb.Field_FIELD_LOGGER}
}
