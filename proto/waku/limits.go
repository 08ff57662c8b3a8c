package waku

// Limits of an encoded message and of its fields, in bytes.
const (
	// MaxSentSize is the largest message that every deployed node carries: nodes
	// of one kind take 150 kB, of another 150 KiB. Encode makes none that is
	// larger.
	MaxSentSize = 150_000

	// MaxReceivedSize is the largest message that DecodeMessage and DecodeSegment
	// take. Deployed clients relay up to 1 MiB among each other.
	MaxReceivedSize = 1 << 20

	// MaxMetaLength is what 14/WAKU2-MESSAGE allows for the meta field.
	MaxMetaLength = 64

	// MaxTopicLength is far above the 24 of the content topics in use.
	MaxTopicLength = 1024
)
