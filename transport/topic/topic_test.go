package topic

import (
	"errors"
	"strings"
	"testing"
)

func TestContentTopicsHaveOneSpelling(t *testing.T) {
	for _, c := range []struct{ s, want string }{
		{"/waku/1/0x9c22ff5f/rfc26", "0x9c22ff5f"},
		{"/waku/1/0x00000000/rfc26", "0x00000000"},
		{"/waku/1/0x9C22FF5F/rfc26", ""},
		{"/waku/1/0X9c22ff5f/rfc26", ""},
		{"/waku/1/9c22ff5f/rfc26", ""},
		{"/waku/1/0x9c22ff5/rfc26", ""},
		{"/waku/1/0x9c22ff5f0/rfc26", ""},
		{"/waku/1/0x9c22ff5g/rfc26", ""},
		{"/waku/1/0x/rfc26", ""},
		{"/waku/1//rfc26", ""},
		{"/waku/2/0x9c22ff5f/rfc26", ""},
		{"/waku/1/0x9c22ff5f/rfc27", ""},
		{"/waku/1/0x9c22ff5f/proto", ""},
		{"/other/1/0x9c22ff5f/rfc26", ""},
		{"waku/1/0x9c22ff5f/rfc26", ""},
		{"x/waku/1/0x9c22ff5f/rfc26", ""},
		{"/waku/1/0x9c22ff5f/rfc26/", ""},
		{"/0/waku/1/0x9c22ff5f/rfc26", ""},
		{"/waku/1/0x9c22ff5f/rfc26 ", ""},
		{" /waku/1/0x9c22ff5f/rfc26", ""},
		{"/waku/1/0x9c22ff5f", ""},
		{"////", ""},
		{"", ""},
	} {
		got, err := ParseContentTopic(c.s)
		if c.want == "" {
			if !errors.Is(err, ErrContentTopic) || got != (Topic{}) {
				t.Errorf("%q is read as %s, %v", c.s, got, err)
			}
			continue
		}
		if err != nil || got.String() != c.want || string(got.ContentTopic()) != c.s {
			t.Errorf("%q is read as %s, %v", c.s, got, err)
		}
	}
}

// FuzzParseContentTopic: what is read as a topic is written as it was, and
// consists of five parts.
func FuzzParseContentTopic(f *testing.F) {
	for _, s := range []string{"/waku/1/0x9c22ff5f/rfc26", "/waku/1/0x9C22FF5F/rfc26", "/waku/1/0x9c22ff5f/rfc26/", "////", ""} {
		f.Add(s, []byte(s))
	}
	f.Fuzz(func(t *testing.T, s string, name []byte) {
		topic, err := ParseContentTopic(s)
		switch {
		case err != nil:
			if !errors.Is(err, ErrContentTopic) || topic != (Topic{}) {
				t.Errorf("%q: %s, %v", s, topic, err)
			}
		case string(topic.ContentTopic()) != s || len(strings.Split(s, "/")) != 5:
			t.Errorf("%q is read as %s", s, topic)
		}
		made := topicOf(name)
		if back, err := ParseContentTopic(string(made.ContentTopic())); err != nil || back != made {
			t.Errorf("%s is read back as %s, %v", made, back, err)
		}
	})
}
