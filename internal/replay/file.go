package replay

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// maxFileSize is far above any recording; a larger file is a mistake.
const maxFileSize = 256 << 20

// ErrNotRecording reports JSON that is not a recording at all, such as an index
// of recordings.
var ErrNotRecording = errors.New("replay: not a recording")

// File replays the recording at path. What it holds is told by its content,
// never by its name. Errors match ErrMalformed, ErrNotRecording or come from
// reading the file; differences are not errors but part of the report.
func File(path string, stores Stores) (*FileReport, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	// Before it is opened: opening a pipe waits for its other end.
	if !info.Mode().IsRegular() {
		return nil, malformed(path, "not a regular file")
	}
	data, err := read(path, maxFileSize)
	if err != nil {
		return nil, err
	}
	report, err := Data(data, stores)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	report.Path = path
	return report, nil
}

// read gives the content of a file of at most limit bytes, also of one that
// grows meanwhile.
func read(path string, limit int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	defer func() { _ = file.Close() }()
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	if int64(len(data)) > limit {
		return nil, malformed(path, "more than %d bytes", limit)
	}
	return data, nil
}

// Data replays a recording that has been read already.
func Data(data []byte, stores Stores) (*FileReport, error) {
	var head struct {
		Schema string          `json:"schema"`
		Files  json.RawMessage `json:"files"`
		List   json.RawMessage `json:"transcripts"`
	}
	if start := bytes.TrimLeft(data, " \t\r\n"); len(start) == 0 || start[0] != '{' {
		return nil, malformed("file", "not a JSON object")
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, &FormatError{Where: "file", Reason: err}
	}
	switch {
	case head.Schema == schemaTranscript:
		return replayTranscript(data, stores)
	case head.Schema == schemaPrimitives:
		return replayPrimitives(data)
	case head.Schema == schemaDoubleRatchet:
		return replayDoubleRatchet(data)
	case head.Schema == "" && (head.Files != nil || head.List != nil):
		return nil, fmt.Errorf("%w: an index of recordings", ErrNotRecording)
	case head.Schema == "":
		return replayShape(data, stores)
	}
	return nil, malformed("schema", "unknown: %.80q", head.Schema)
}

// Find lists the files that a command line names: files as they are, and of
// directories every .json file below them, in the order of their paths.
func Find(names []string) ([]string, error) {
	var paths []string
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			return nil, fmt.Errorf("replay: %w", err)
		}
		if !info.IsDir() {
			paths = append(paths, name)
			continue
		}
		err = filepath.WalkDir(name, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && !entry.IsDir() && strings.HasSuffix(path, ".json") {
				paths = append(paths, path)
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("replay: %w", err)
		}
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("%w: no .json file found", ErrNotRecording)
	}
	return paths, nil
}
