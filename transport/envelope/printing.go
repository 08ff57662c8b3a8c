package envelope

import (
	"fmt"
	"io"
	"log/slog"
)

// String implements fmt.Stringer without the data: of a public chat it is what
// somebody has said.
func (o Opened) String() string { return fmt.Sprintf("%d bytes of %v", len(o.Data), o.Signer) }

// GoString implements fmt.GoStringer without the data.
func (o Opened) GoString() string { return o.String() }

// Format implements fmt.Formatter so that no verb, %x included, prints the data.
func (o Opened) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, o.String()) }

// LogValue implements slog.LogValuer without the data.
func (o Opened) LogValue() slog.Value { return slog.StringValue(o.String()) }

// MarshalText implements encoding.TextMarshaler (and so JSON) without the data.
func (o Opened) MarshalText() ([]byte, error) { return []byte(o.String()), nil }
