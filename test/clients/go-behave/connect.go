package main

import (
	"context"
	"errors"
	"net/http"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	pb "fleetlog.test/behave/gen/fleetlog/v1"
	"fleetlog.test/behave/gen/fleetlog/v1/fleetlogv1connect"
)

// connectAPI speaks Connect's own protocol over HTTP/2 without TLS.
type connectAPI struct {
	plain, gzip fleetlogv1connect.IngestServiceClient
}

func newConnect(address string) api {
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	client := &http.Client{Transport: &http.Transport{Protocols: &protocols}}
	return connectAPI{
		plain: fleetlogv1connect.NewIngestServiceClient(client, "http://"+address),
		gzip:  fleetlogv1connect.NewIngestServiceClient(client, "http://"+address, connect.WithSendGzip()),
	}
}

func (api connectAPI) client(compress bool) fleetlogv1connect.IngestServiceClient {
	if compress {
		return api.gzip
	}
	return api.plain
}

func (api connectAPI) push(ctx context.Context, batch *pb.LogBatch, compress bool) (*pb.Ack, error) {
	response, err := api.client(compress).PushLogs(ctx, connect.NewRequest(&pb.PushLogsRequest{Batch: batch}))
	if err != nil {
		return nil, err
	}
	return response.Msg.Ack, nil
}

func (api connectAPI) stream(ctx context.Context, compress bool) stream {
	return connectStream{api.client(compress).StreamLogs(ctx)}
}

func (api connectAPI) limits(ctx context.Context) (*pb.GetLimitsResponse, error) {
	response, err := api.plain.GetLimits(ctx, connect.NewRequest(&pb.GetLimitsRequest{}))
	if err != nil {
		return nil, err
	}
	return response.Msg, nil
}

func (connectAPI) failure(err error) (int, *errdetails.BadRequest_FieldViolation) {
	var found *connect.Error
	if !errors.As(err, &found) {
		return 0, nil
	}
	for _, detail := range found.Details() {
		if value, err := detail.Value(); err == nil {
			if bad, ok := value.(*errdetails.BadRequest); ok {
				return int(found.Code()), bad.FieldViolations[0]
			}
		}
	}
	return int(found.Code()), nil
}

type connectStream struct {
	*connect.BidiStreamForClient[pb.StreamLogsRequest, pb.StreamLogsResponse]
}

func (stream connectStream) CloseSend() error { return stream.CloseRequest() }
