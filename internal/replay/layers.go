package replay

import (
	"bytes"
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/rookery-im/rookery/internal/curve"
	"github.com/rookery-im/rookery/proto/waku"
	"github.com/rookery-im/rookery/proto/wire"
	"github.com/rookery-im/rookery/transport/segment"
	"github.com/rookery-im/rookery/x3dh"
)

// layerFile is a file of what stands around an encrypted message: above it the
// frames of the application, below it segments.
type layerFile struct {
	origin
	Application []applicationVector `json:"application_metadata"`
	MVDS        []mvdsVector        `json:"mvds"`
	Segments    []segmentVector     `json:"segments"`
}

type applicationVector struct {
	Private   hexBytes `json:"private_key"`
	Signer    hexBytes `json:"signer"`
	Payload   hexBytes `json:"payload"`
	Type      *uint64  `json:"type"`
	Wrapped   hexBytes `json:"wrapped"`
	MessageID hexBytes `json:"message_id"`
	Note      string   `json:"note"`
}

type mvdsVector struct {
	Body      hexBytes `json:"body"`
	GroupID   hexBytes `json:"group_id"`
	ID        hexBytes `json:"id"`
	Protobuf  hexBytes `json:"payload_protobuf"`
	Shape     string   `json:"payload_shape"`
	Timestamp *int64   `json:"timestamp"`
	Note      string   `json:"note"`
}

type segmentVector struct {
	Payload hexBytes   `json:"payload"`
	Size    *int       `json:"segment_size"`
	Sent    []hexBytes `json:"wire_payloads"`
	Note    string     `json:"note"`
}

// whyApplication says why a frame is compared only as far as it is made of a
// signature and hashes.
const whyApplication = "the application's frame: only its signature and hashes are ours"

func replayLayers(data []byte) (*FileReport, error) {
	var f layerFile
	if err := strictly(data, "layers", &f); err != nil {
		return nil, err
	}
	report := &FileReport{Schema: schemaLayers, Name: f.Name}
	for i := range f.Application {
		rep := Step{I: i, Cmd: "application_metadata", Status: Equal}
		if err := f.Application[i].compare(fmt.Sprintf("application_metadata %d", i), &rep); err != nil {
			return nil, err
		}
		report.Steps = append(report.Steps, rep)
	}
	for i := range f.MVDS {
		v, where := &f.MVDS[i], fmt.Sprintf("mvds %d", i)
		if err := missing(where, "body", v.Body, "group_id", v.GroupID, "id", v.ID, "payload_protobuf", v.Protobuf); err != nil {
			return nil, err
		}
		if v.Timestamp == nil {
			return nil, malformed(where, "no timestamp")
		}
		rep := Step{I: i, Cmd: "mvds", Status: Equal}
		rep.outside(NotSupported, "payload_protobuf", whyMVDS)
		rep.outside(NotSupported, "id", whyMVDS)
		report.Steps = append(report.Steps, rep)
	}
	for i := range f.Segments {
		rep := Step{I: i, Cmd: "segments", Status: Equal}
		if err := f.Segments[i].compare(fmt.Sprintf("segments %d", i), &rep); err != nil {
			return nil, err
		}
		report.Steps = append(report.Steps, rep)
	}
	if len(report.Steps) == 0 {
		return nil, malformed("layers", "no vectors")
	}
	return report, nil
}

// applicationFrame is what deployed clients encrypt: a payload of the
// application with its author's signature.
type applicationFrame struct {
	signature, payload []byte
	typ                uint64
}

func readApplicationFrame(b []byte) (f applicationFrame) {
	fields(b, func(num protowire.Number, value []byte, n uint64) {
		switch num {
		case 1:
			f.signature = value
		case 2:
			f.payload = value
		case 3:
			f.typ = n
		}
	})
	return f
}

// author is the identity that has signed the frame.
func (f *applicationFrame) author() (x3dh.IdentityPublicKey, error) {
	if len(f.signature) != curve.SignatureSize {
		return x3dh.IdentityPublicKey{}, fmt.Errorf("signature of %d bytes", len(f.signature))
	}
	key, err := curve.Recover(curve.Keccak256(f.payload), curve.Signature(f.signature))
	return x3dh.IdentityPublicKey(key), err
}

// applicationID is the id of a frame of an author.
func applicationID(author x3dh.IdentityPublicKey, frame []byte) []byte {
	full, err := author.Uncompressed()
	if err != nil {
		return nil
	}
	id := curve.Keccak256(full[:], frame)
	return id[:]
}

func (v *applicationVector) compare(where string, rep *Step) error {
	if err := missing(where, "payload", v.Payload, "wrapped", v.Wrapped, "message_id", v.MessageID, "signer", v.Signer); err != nil {
		return err
	}
	private, err := curve.NewPrivateKey(v.Private)
	if err != nil {
		return malformed(where, "private_key: %w", err)
	}
	if v.Type == nil {
		return malformed(where, "no type")
	}
	public := x3dh.IdentityPublicKey(private.Public())
	frame := readApplicationFrame(v.Wrapped)
	author, err := frame.author()
	rep.value("signer", err == nil && author == public && sameIdentity(author, v.Signer), "ours is %s (%v)", author, err)
	rep.value("payload", bytes.Equal(frame.payload, v.Payload), "ours has %d bytes", len(frame.payload))
	rep.value("type", frame.typ == *v.Type, "ours is %d", frame.typ)
	rep.value("message_id", bytes.Equal(applicationID(public, v.Wrapped), v.MessageID), "not ours")
	signature, err := private.Sign(curve.Keccak256(v.Payload))
	rep.value("signature in wrapped", err == nil && bytes.Equal(signature[:], frame.signature), "not ours (%v)", err)
	rep.outside(NotSupported, "wrapped", whyApplication)
	return nil
}

// compare cuts the whole and puts it together again: in order, backwards, and
// without as many segments as there are parity segments.
func (v *segmentVector) compare(where string, rep *Step) error {
	if err := missing(where, "payload", v.Payload); err != nil {
		return err
	}
	if v.Size == nil || *v.Size < 1 || len(v.Sent) == 0 {
		return malformed(where, "no segment_size or no wire_payloads")
	}
	made, err := segment.Split(v.Payload, *v.Size)
	if err != nil || len(made) != len(v.Sent) {
		rep.differs(KindWire, "wire_payloads", "ours are %d, recorded %d (%v)", len(made), len(v.Sent), err)
		return nil
	}
	for i := range made {
		what := fmt.Sprintf("wire_payloads[%d]", i)
		if bytes.Equal(made[i], v.Sent[i]) {
			rep.equal(KindWire, what)
		} else {
			rep.differs(KindWire, what, "ours has %d other bytes, recorded are %d", len(made[i]), len(v.Sent[i]))
		}
	}
	if len(v.Payload) <= *v.Size {
		_, err := waku.DecodeSegment(v.Sent[0])
		rep.value("sent as it is", err != nil, "taken for a segment")
		return nil
	}
	data := (len(v.Payload) + *v.Size - 1) / *v.Size
	lost := len(v.Sent) - data
	backwards := slices.Clone(v.Sent)
	slices.Reverse(backwards)
	for _, way := range []struct {
		what string
		come []hexBytes
	}{
		{"payload", v.Sent},
		{"payload, backwards", backwards},
		{"payload, without the first", v.Sent[lost:]},
	} {
		whole, err := together(way.come, where)
		if err == nil && bytes.Equal(whole, v.Payload) {
			rep.equal(KindPlaintext, way.what)
		} else {
			rep.differs(KindPlaintext, way.what, "ours has %d bytes, recorded are %d (%v)", len(whole), len(v.Payload), err)
		}
	}
	return nil
}

// together gives the whole of recorded segments, empty if some are missing.
func together(come []hexBytes, where string) (whole []byte, err error) {
	r, err := segment.NewReassembler(segment.DefaultLimits)
	if err != nil {
		return nil, malformed(where, "%w", err)
	}
	for _, b := range come {
		s, err := waku.DecodeSegment(b)
		if err != nil {
			return nil, err
		}
		got, err := r.Add(1, x3dh.IdentityPublicKey(wire.PublicKey{2}), s)
		if err != nil {
			return nil, err
		}
		if got != nil {
			whole = got
		}
	}
	return whole, nil
}
