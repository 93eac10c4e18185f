// The smallest program: logs with slog, and survives restarts by its spool.
package main

import (
	"context"
	"log"
	"log/slog"
	"os"
	"time"

	fleetlog "fleetlog/clients/go"
)

func main() {
	client, err := fleetlog.Open(fleetlog.Options{
		DeviceID: "pump-17",
		Address:  os.Getenv("FLEETLOG_ADDRESS"), // 127.0.0.1:50051 when empty
		Spool:    os.Getenv("FLEETLOG_SPOOL"),   // no spool when empty
		OnFull:   fleetlog.DropOldest,
		Device:   &fleetlog.DeviceInfo{Firmware: "2.1.0", Site: "plant-3"},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	logger := slog.New(fleetlog.NewHandler(client, &fleetlog.HandlerOptions{Logger: "hydraulics"}))
	logger.Warn("pressure is low", "bar", 1.7, "valve", "A3")

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := client.Flush(ctx); err != nil {
		log.Print(err) // with a spool, the next start sends it
	}
}
