package replay
func replayPrimitives(data []byte) (*FileReport, error) { return &FileReport{}, nil }
func replayDoubleRatchet(data []byte) (*FileReport, error) { return &FileReport{}, nil }
