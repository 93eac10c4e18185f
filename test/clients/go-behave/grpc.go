package main

import (
	"context"
	"log"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/status"

	pb "fleetlog.test/behave/gen/fleetlog/v1"
)

type grpcAPI struct{ client pb.IngestServiceClient }

func newGrpc(address string) api {
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	return grpcAPI{pb.NewIngestServiceClient(connection)}
}

func grpcOptions(compress bool) []grpc.CallOption {
	options := []grpc.CallOption{grpc.WaitForReady(true)}
	if compress {
		options = append(options, grpc.UseCompressor(gzip.Name))
	}
	return options
}

func (api grpcAPI) push(ctx context.Context, batch *pb.LogBatch, compress bool) (*pb.Ack, error) {
	response, err := api.client.PushLogs(ctx, &pb.PushLogsRequest{Batch: batch}, grpcOptions(compress)...)
	return response.GetAck(), err
}

func (api grpcAPI) stream(ctx context.Context, compress bool) stream {
	open, err := api.client.StreamLogs(ctx, grpcOptions(compress)...)
	return grpcStream{open, err}
}

func (api grpcAPI) limits(ctx context.Context) (*pb.GetLimitsResponse, error) {
	return api.client.GetLimits(ctx, &pb.GetLimitsRequest{}, grpcOptions(false)...)
}

func (grpcAPI) failure(err error) (int, *errdetails.BadRequest_FieldViolation) {
	found := status.Convert(err)
	for _, detail := range found.Details() {
		if bad, ok := detail.(*errdetails.BadRequest); ok {
			return int(found.Code()), bad.FieldViolations[0]
		}
	}
	return int(found.Code()), nil
}

// grpcStream is a stream, or the error with which it did not open.
type grpcStream struct {
	open grpc.BidiStreamingClient[pb.StreamLogsRequest, pb.StreamLogsResponse]
	err  error
}

func (stream grpcStream) Send(request *pb.StreamLogsRequest) error {
	if stream.err != nil {
		return stream.err
	}
	return stream.open.Send(request)
}

func (stream grpcStream) Receive() (*pb.StreamLogsResponse, error) {
	if stream.err != nil {
		return nil, stream.err
	}
	return stream.open.Recv()
}

func (stream grpcStream) CloseSend() error {
	if stream.err != nil {
		return stream.err
	}
	return stream.open.CloseSend()
}
