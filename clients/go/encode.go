package fleetlog

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"fleetlog/clients/go/fleetlogv1"
)

// The fields of wire v1 that are written by hand, so that a record is encoded once.
const (
	requestBatch      = 1
	requestUptime     = 3
	requestRejections = 4

	batchDevice     = 1
	batchSession    = 2
	batchSequence   = 3
	batchRecords    = 4
	batchAttributes = 6
	batchDeviceInfo = 7

	// framingBytes is an upper bound for the tag and the length of a record within its batch.
	framingBytes = 5
	// rejectionsMax is how many reasons an acknowledgement may list.
	rejectionsMax = 100
)

// outgoing is a batch before it has a number.
type outgoing struct {
	records    [][]byte
	attributes []byte // encoded fields of the batch
	size       int    // of the records with their framing
}

// encode returns a StreamLogsRequest with the batch alone.
func (o *outgoing) encode(key *fleetlogv1.SessionKey, sequence uint64, device []byte) []byte {
	batch := make([]byte, 0, o.size+len(o.attributes)+len(device)+headerBytesMax)
	batch = appendBytes(batch, batchDevice, []byte(key.DeviceId))
	batch = appendBytes(batch, batchSession, []byte(key.SessionId))
	batch = protowire.AppendTag(batch, batchSequence, protowire.VarintType)
	batch = protowire.AppendVarint(batch, sequence)
	for _, record := range o.records {
		batch = appendBytes(batch, batchRecords, record)
	}
	batch = append(batch, o.attributes...)
	if len(device) > 0 {
		batch = appendBytes(batch, batchDeviceInfo, device)
	}
	return appendBytes(make([]byte, 0, len(batch)+framingBytes), requestBatch, batch)
}

// encodeBatchAttributes returns the fields of a batch for its attributes.
func encodeBatchAttributes(attributes []Attribute) ([]byte, error) {
	encoded := encodeAttributes(attributes)
	if err := checkAttributes("Attributes", encoded); err != nil {
		return nil, err
	}
	var out []byte
	for _, attribute := range encoded {
		bytes, err := deterministic.Marshal(attribute)
		if err != nil {
			return nil, err
		}
		out = appendBytes(out, batchAttributes, bytes)
	}
	return out, nil
}

// encodeDropped returns a StreamLogsRequest that declares the batches from first to last as dropped.
func encodeDropped(key *fleetlogv1.SessionKey, first, last uint64, reason string) []byte {
	reason = valid(strings.ReplaceAll(reason, "\x00", ""))
	if len(reason) > 200 { // the limit is 256 bytes
		reason = strings.ToValidUTF8(reason[:200], "")
	}
	request, err := proto.Marshal(&fleetlogv1.StreamLogsRequest{Batch: &fleetlogv1.LogBatch{
		DeviceId: key.DeviceId, SessionId: key.SessionId, Sequence: first,
		Dropped: &fleetlogv1.Dropped{LastSequence: last, Reason: reason},
	}})
	if err != nil {
		panic(fmt.Sprintf("a declaration cannot be encoded: %v", err)) // its texts are valid UTF-8
	}
	return request
}

// encodeSuffix returns the fields of a request that are no part of the batch, and may differ when it is sent again.
func encodeSuffix(uptimeNano uint64) []byte {
	var out []byte
	if uptimeNano > 0 {
		out = protowire.AppendTag(out, requestUptime, protowire.Fixed64Type)
		out = protowire.AppendFixed64(out, uptimeNano)
	}
	out = protowire.AppendTag(out, requestRejections, protowire.VarintType)
	return protowire.AppendVarint(out, rejectionsMax)
}

func appendBytes(out []byte, field protowire.Number, value []byte) []byte {
	out = protowire.AppendTag(out, field, protowire.BytesType)
	return protowire.AppendBytes(out, value)
}
