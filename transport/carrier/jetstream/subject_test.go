package jetstream

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/rookery-im/rookery/transport/carrier"
)

func TestTokensAreOneTokenAndTellTopicsApart(t *testing.T) {
	for topic, want := range map[carrier.Topic]string{
		"plain-topic_1":            "plain-topic_1",
		"/waku/1/0x9c22ff5f/rfc26": "=2Fwaku=2F1=2F0x9c22ff5f=2Frfc26",
		"a.b":                      "a=2Eb",
		"a=2Eb":                    "a=3D2Eb",
		">":                        "=3E",
		"*":                        "=2A",
		"$SYS.REQ":                 "=24SYS=2EREQ",
		"~":                        "=7E",
	} {
		if got := token(topic); got != want {
			t.Errorf("%s is %s, want %s", topic, got, want)
		}
	}
	topics := rapid.Custom(func(t *rapid.T) carrier.Topic {
		return carrier.Topic(rapid.StringMatching(`[!-~]{1,255}`).Draw(t, "topic"))
	})
	rapid.Check(t, func(t *rapid.T) {
		topic := topics.Draw(t, "topic")
		written := token(topic)
		if strings.ContainsAny(written, ".*>$ \t\r\n") || written == "" || len(written) > 3*carrier.MaxTopic {
			t.Fatalf("%s is %s", topic, written)
		}
		if read := topicFrom(written); read != topic {
			t.Fatalf("%s is %s, which is read as %s", topic, written, read)
		}
	})
}

// topicFrom reads a token: that it can be read makes it injective.
func topicFrom(written string) carrier.Topic {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := 0; i < len(written); i++ {
		if written[i] != '=' {
			b.WriteByte(written[i])
			continue
		}
		b.WriteByte(byte(strings.IndexByte(digits, written[i+1])<<4 | strings.IndexByte(digits, written[i+2])))
		i += 2
	}
	return carrier.Topic(b.String())
}

func TestTokenIsFoundInSubjectsOfItsPrefixOnly(t *testing.T) {
	n := namesUnder("some.rookery")
	for subject, want := range map[string][2]string{
		"some.rookery.abc":      {"abc", ""},
		"some.rookery-live.abc": {"", "abc"},
		"some.rookery.":         {"", ""},
		"some.rookery":          {"", ""},
		"other.rookery.abc":     {"", ""},
		"":                      {"", ""},
	} {
		if got := [2]string{n.tokenOf(subject), n.liveTokenOf(subject)}; got != want {
			t.Errorf("%q: %q, want %q", subject, got, want)
		}
	}
}
