package fleetlog

import (
	"context"
	"fmt"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/keepalive"
)

func dial(options *Options) (*grpc.ClientConn, error) {
	security := insecure.NewCredentials()
	if options.TLS != nil {
		security = credentials.NewTLS(options.TLS)
	}
	calls := []grpc.CallOption{grpc.ForceCodecV2(newRawCodec())}
	if options.Gzip {
		calls = append(calls, grpc.UseCompressor(gzip.Name))
	}
	dialOptions := []grpc.DialOption{
		grpc.WithTransportCredentials(security),
		grpc.WithDefaultCallOptions(calls...),
		// The client spaces the attempts; gRPC's own waits, up to 2 min, would add to them.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{
				BaseDelay: min(options.BackoffBase, 100*time.Millisecond), Multiplier: 1.6, Jitter: 0.2,
				MaxDelay: min(options.BackoffMax, time.Second),
			},
			MinConnectTimeout: 10 * time.Second,
		}),
		// Detects a peer that vanished silently, for example by a loss of power. Longer than the pause between heartbeats of
		// the server, so that pings are rare: some proxies end connections that send many.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 45 * time.Second, Timeout: 10 * time.Second}),
		grpc.WithDisableRetry(),         // no retries below ours
		grpc.WithDisableServiceConfig(), // which DNS could provide, after a wait
	}
	if options.Token != nil {
		dialOptions = append(dialOptions, grpc.WithPerRPCCredentials(tokens{options.Token, isLoopback(options.Address)}))
	}
	return grpc.NewClient(options.Address, append(dialOptions, options.DialOptions...)...)
}

// tokens asks for a bearer token before every call.
type tokens struct {
	token      func(context.Context) (string, error)
	isLoopback bool
}

func (t tokens) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	token, err := t.token(ctx)
	if err != nil {
		return nil, fmt.Errorf("no token: %w", err)
	}
	return map[string]string{"authorization": "Bearer " + token}, nil
}

func (t tokens) RequireTransportSecurity() bool { return !t.isLoopback }

func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
