package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/rookery-im/rookery/internal/replay"
	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/memory"
)

// ReplayCmd runs recordings of the deployed reference through our core, and
// their transcripts through the full rules as well.
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
	// Rules are the steps of the transcripts under the full rules.
	Rules replay.RuleCounts `json:"rules"`
	OK    bool              `json:"ok"`
}

type fileResult struct {
	*replay.FileReport
	Counts     replay.Counts     `json:"counts"`
	RuleCounts replay.RuleCounts `json:"rule_counts"`
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
		Rules: replay.RuleCounts{Otherwise: map[string]int{}},
	}
	var failures error
	for _, path := range paths {
		report, err := replay.File(path, func() persistence.Store { return memory.New() })
		switch {
		case errors.Is(err, replay.ErrNotRecording):
			result.Skipped = append(result.Skipped, fileProblem{path, err.Error()})
			continue
		case err != nil:
			failures = errors.Join(failures, err)
			result.Failed = append(result.Failed, fileProblem{path, err.Error()})
			continue
		}
		counts, ruled := report.Counts(), report.RuleCounts()
		result.Total.Add(counts)
		result.Rules.Add(ruled)
		result.Files = append(result.Files, fileResult{report, counts, ruled})
		if !c.JSON {
			if err := report.WriteText(out.stdout); err != nil {
				return err
			}
		}
	}
	differ := result.Total.Differs + result.Rules.Differs
	result.OK = failures == nil && differ == 0 && len(result.Files) > 0
	if err := c.summary(out.stdout, &result); err != nil {
		return err
	}
	switch {
	case failures != nil:
		return failures
	case len(result.Files) == 0:
		return fmt.Errorf("%w: none among %d files", replay.ErrNotRecording, len(paths))
	case differ > 0:
		return fmt.Errorf("%w: %d", errDiffers, differ)
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
	if _, err := fmt.Fprintf(w, "total of %d files: %s\n\nThe same steps under the full rules of sessions, devices and bundles:\n", len(result.Files), result.Total); err != nil {
		return err
	}
	for _, f := range result.Files {
		if err := f.WriteRules(w); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "total: %s\n", result.Rules)
	return err
}
