package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/rookery-im/rookery/internal/replay"
)

// ReplayCmd runs recordings of the deployed reference through our core.
type ReplayCmd struct {
	Paths []string `arg:"" name:"path" type:"path" help:"Recordings, or directories with recordings (*.json)."`
	JSON  bool     `name:"json" help:"Write one JSON document instead of text, with every check of every step."`
}

var errDiffers = fmt.Errorf("%w: differences without an explanation", errBadResult)

// replayResult is the JSON document of the command.
type replayResult struct {
	Files   []fileResult  `json:"files"`
	Skipped []fileProblem `json:"skipped"`
	Failed  []fileProblem `json:"failed"`
	Total   replay.Counts `json:"total"`
	OK      bool          `json:"ok"`
}

type fileResult struct {
	*replay.FileReport
	Counts replay.Counts `json:"counts"`
}

type fileProblem struct {
	Path  string `json:"path"`
	Error string `json:"error"`
}

// Run implements kong's command. The result is bad if anything differs without
// an explanation; a file that cannot be read or is malformed is an error.
func (c *ReplayCmd) Run(out *output) error {
	paths, err := replay.Find(c.Paths)
	if err != nil {
		return err
	}
	result := replayResult{
		Files: []fileResult{}, Skipped: []fileProblem{}, Failed: []fileProblem{},
		Total: replay.Counts{Equal: map[string]int{}, Explained: map[string]int{}},
	}
	var failures error
	for _, path := range paths {
		report, err := replay.File(path)
		switch {
		case errors.Is(err, replay.ErrNotRecording):
			result.Skipped = append(result.Skipped, fileProblem{path, err.Error()})
			continue
		case err != nil:
			failures = errors.Join(failures, err)
			result.Failed = append(result.Failed, fileProblem{path, err.Error()})
			continue
		}
		counts := report.Counts()
		result.Total.Add(counts)
		result.Files = append(result.Files, fileResult{report, counts})
		if !c.JSON {
			if err := report.WriteText(out.stdout); err != nil {
				return err
			}
		}
	}
	result.OK = failures == nil && result.Total.Differs == 0 && len(result.Files) > 0
	if err := c.summary(out.stdout, &result); err != nil {
		return err
	}
	switch {
	case failures != nil:
		return failures
	case len(result.Files) == 0:
		return fmt.Errorf("%w: none among %d files", replay.ErrNotRecording, len(paths))
	case result.Total.Differs > 0:
		return fmt.Errorf("%w: %d", errDiffers, result.Total.Differs)
	}
	return nil
}

func (c *ReplayCmd) summary(w io.Writer, result *replayResult) error {
	if c.JSON {
		return json.NewEncoder(w).Encode(result)
	}
	for _, p := range result.Skipped {
		if _, err := fmt.Fprintf(w, "%s: skipped\n", p.Path); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "total of %d files: %s\n", len(result.Files), result.Total)
	return err
}
