package wakurelay

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"github.com/rookery-im/rookery/transport/carrier"
)

// TestMetadataAsDeployedPeersWriteIt reads the forms that are about: the old field
// packed or not, the new one, and both.
func TestMetadataAsDeployedPeersWriteIt(t *testing.T) {
	for name, test := range map[string]struct {
		wire    string
		cluster uint32
		none    bool
		shards  []uint32
	}{
		"ours":                    {"0810" + "1020" + "1040" + "1a022040", 16, false, []uint32{32, 64}},
		"old field, packed":       {"0810" + "12022040", 16, false, []uint32{32, 64}},
		"old field, one by one":   {"0810" + "1020" + "1040", 16, false, []uint32{32, 64}},
		"new field, packed":       {"0810" + "1a022040", 16, false, []uint32{32, 64}},
		"new field, one by one":   {"0810" + "1820" + "1840", 16, false, []uint32{32, 64}},
		"no shards":               {"0810", 16, false, nil},
		"no cluster":              {"1820", 0, true, []uint32{32}},
		"nothing":                 {"", 0, true, nil},
		"cluster 0":               {"0800", 0, false, nil},
		"cluster of two bytes":    {"08e807" + "1a028008", 1000, false, []uint32{1024}},
		"unknown fields":          {"0810" + "220161" + "2805" + "1a0120", 16, false, []uint32{32}},
		"the cluster twice":       {"0801" + "0810", 16, false, nil},
		"shards in several parts": {"0810" + "1a0120" + "1a0140", 16, false, []uint32{32, 64}},
	} {
		t.Run(name, func(t *testing.T) {
			wire, err := hex.DecodeString(test.wire)
			if err != nil {
				t.Fatal(err)
			}
			m, err := decodeMetadata(wire)
			if err != nil || m.cluster != test.cluster || m.hasCluster == test.none || !slices.Equal(m.shards, test.shards) {
				t.Errorf("got %+v, %v", m, err)
			}
			if name == "ours" && !bytes.Equal(m.encode(), wire) {
				t.Errorf("encoded %x, want %x", m.encode(), wire)
			}
		})
	}
}

// TestMetadataThatMakeNoSenseAreRefused holds the bounds of the decoder.
func TestMetadataThatMakeNoSenseAreRefused(t *testing.T) {
	for name, wire := range map[string]string{
		"truncated":            "08",
		"length beyond end":    "1a7f20",
		"cluster of 33 bits":   "088080808010",
		"cluster of no number": "0a00",
		"shard of 33 bits":     "188080808010",
		"packed, truncated":    "1a0180",
		"fixed numbers":        "0d10000000",
		"too many shards":      strings.Repeat("1801", mostMetadataShards+1),
		"too many old shards":  strings.Repeat("1001", mostMetadataShards+1),
		"group that ends":      "0c",
	} {
		t.Run(name, func(t *testing.T) {
			b, err := hex.DecodeString(wire)
			if err != nil {
				t.Fatal(err)
			}
			if m, err := decodeMetadata(b); !errors.Is(err, errMetadata) {
				t.Errorf("got %+v, %v", m, err)
			}
		})
	}
	for name, framed := range map[string]string{
		"too long":       "ffffff7f",
		"endless length": strings.Repeat("ff", 20),
		"too short":      "0508",
		"nothing":        "",
	} {
		b, err := hex.DecodeString(framed)
		if err != nil {
			t.Fatal(err)
		}
		if m, err := readMetadata(bytes.NewReader(b)); err == nil {
			t.Errorf("%s: got %+v", name, m)
		}
	}
}

func FuzzDecodeMetadata(f *testing.F) {
	for _, seed := range []string{"\x08\x10\x10\x20\x1a\x01\x20", "\x08\x10\x12\x02\x20\x40", "\x1a\x01\x80"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decodeMetadata(b)
		if err != nil {
			return
		}
		again, err := decodeMetadata(m.encode())
		if err != nil || again.cluster != m.cluster || again.hasCluster != m.hasCluster || !slices.Equal(again.shards, m.shards) {
			t.Errorf("%+v became %+v, %v", m, again, err)
		}
	})
}

// TestMetadataAreAnswered holds what deployed peers insist on, byte for byte.
func TestMetadataAreAnswered(t *testing.T) {
	c, _ := listening(t, Options{Shards: []uint16{32, 64}})
	s := befriend(t, c)
	ask, err := s.NewStream(context.Background(), s.to, metadataProtocol)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ask.Write([]byte{2, 0x08, 16}); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(ask)
	if want := "0a" + "0810" + "1020" + "1040" + "1a022040"; err != nil || hex.EncodeToString(answer) != want {
		t.Errorf("got %x, %v, want %s", answer, err, want)
	}
}

// TestForeignClusterIsDisconnected holds that peers of another network do not stay,
// whoever has called whom, and that Health tells of a configured one.
func TestForeignClusterIsDisconnected(t *testing.T) {
	t.Run("that has dialed", func(t *testing.T) {
		c, _ := listening(t, Options{})
		s := newStranger(t, Options{Cluster: 1, Listen: nextIP().String() + ":0", Peers: c.Addresses()})
		s.meet(c)
		eventually(t, "it is shut out", func() bool { return s.isOut(c) })
	})
	t.Run("that was dialed", func(t *testing.T) {
		s := newStranger(t, Options{Cluster: 1, Listen: nextIP().String() + ":0"})
		s.start()
		c, _ := listening(t, Options{Peers: []string{s.Addrs()[0].String() + "/p2p/" + s.ID().String()}})
		eventually(t, "Health tells of it", func() bool { return errors.Is(c.Health().Err, errForeignCluster) })
		if err := c.Health().Err; !errors.Is(err, carrier.ErrUnreachable) || !strings.Contains(err.Error(), s.ID().String()) {
			t.Errorf("health: %v", err)
		}
	})
	t.Run("that is ours", func(t *testing.T) {
		s := newStranger(t, Options{Listen: nextIP().String() + ":0"})
		s.start()
		c, _ := listening(t, Options{Cluster: 1, Peers: []string{s.Addrs()[0].String() + "/p2p/" + s.ID().String()}})
		eventually(t, "Health tells of it", func() bool { return errors.Is(c.Health().Err, errForeignCluster) })
	})
}

// TestPeerThatDoesNotAnswerIsDisconnected holds that nobody stays who promises
// metadata and gives none that make sense; who does not know the protocol stays.
func TestPeerThatDoesNotAnswerIsDisconnected(t *testing.T) {
	for name, answer := range map[string]func(network.Stream){
		"nonsense":       func(s network.Stream) { _, _ = s.Write([]byte{2, 0x08, 0x80}); _ = s.Close() },
		"no cluster":     func(s network.Stream) { _, _ = s.Write([]byte{0}); _ = s.Close() },
		"too much":       func(s network.Stream) { _, _ = s.Write([]byte{0xff, 0xff, 0xff, 0x7f}); _ = s.Close() },
		"nothing":        func(s network.Stream) { _ = s.Close() },
		"an end of it":   func(s network.Stream) { _ = s.Reset() },
		"silence":        func(network.Stream) {},
		"its first half": func(s network.Stream) { _, _ = s.Write([]byte{2, 0x08}) },
	} {
		t.Run(name, func(t *testing.T) {
			impatient := quick
			impatient.patience = 500 * time.Millisecond
			c, _ := listening(t, Options{pace: impatient})
			s := newStranger(t, Options{Listen: nextIP().String() + ":0", Peers: c.Addresses()})
			s.answer = answer
			s.meet(c)
			eventually(t, "it is disconnected", func() bool { return !s.isConnected() })
		})
	}
	t.Run("stays", func(t *testing.T) {
		c, _ := listening(t, Options{})
		s := newStranger(t, Options{Listen: nextIP().String() + ":0", Peers: c.Addresses()})
		s.RemoveStreamHandler(metadataProtocol)
		s.meet(c)
		never(t, "a peer that does not know metadata is disconnected", func() bool { return !s.isConnected() })
	})
}
