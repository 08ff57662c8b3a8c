package daemon

import (
	"compress/gzip"
	"fmt"
	"io"

	"connectrpc.com/connect"
)

// compressFrom is how long an answer is that is worth packing, in bytes.
const compressFrom = 4 << 10

// compression is gzip for requests that unpack to at most so many bytes, and for longer
// answers. Connect's own unpacks what is over the bound as well, to tell how much it is:
// the two megabytes of a request can be two gigabytes.
func compression(most int) []connect.HandlerOption {
	return []connect.HandlerOption{
		connect.WithCompressMinBytes(compressFrom),
		connect.WithCompression(
			"gzip",
			func() connect.Decompressor { return &unpacking{most: most} },
			func() connect.Compressor { return gzip.NewWriter(io.Discard) },
		),
	}
}

// unpacking is a gzip.Reader that fails when it has given more than most bytes.
type unpacking struct {
	gzip.Reader
	most, given int
}

// Read implements io.Reader.
func (u *unpacking) Read(b []byte) (int, error) {
	if u.given > u.most {
		return 0, fmt.Errorf("%w: more than %d bytes, unpacked", errBody, u.most)
	}
	n, err := u.Reader.Read(b)
	u.given += n
	return n, err
}

// Reset implements connect.Decompressor.
func (u *unpacking) Reset(from io.Reader) error {
	u.given = 0
	return u.Reader.Reset(from)
}
