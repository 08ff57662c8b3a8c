package wire

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// recorded is one ProtocolMessage or Bundle that the reference wrote or was
// given in a recorded conversation.
type recorded struct {
	name  string
	step  int
	bytes []byte
	// accepted: the reference took it without an error.
	accepted bool
}

// recordings holds what the conversations in testdata carry.
type recordings struct {
	messages, bundles           []recorded // written by the reference
	givenMessages, givenBundles []recorded // given to it, tampered ones among them
}

func loadRecordings(t testing.TB) recordings {
	t.Helper()
	all, err := readRecordings()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

var readRecordings = sync.OnceValues(func() (all recordings, err error) {
	files, err := filepath.Glob("../../testdata/recordings/sessions/*.json")
	if err != nil {
		return all, err
	}
	if len(files) == 0 {
		return all, errors.New("no recordings found in testdata")
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return all, err
		}
		var session struct {
			Name  string
			Steps []struct {
				I       int
				Cmd     string
				Message string
				Bundle  string
				Expect  struct {
					OK      bool
					Message string
					Bundle  string
					Parsed  json.RawMessage
				}
			}
		}
		if err := json.Unmarshal(data, &session); err != nil {
			return all, fmt.Errorf("%s: %w", file, err)
		}
		for _, step := range session.Steps {
			lists := []struct {
				to   *[]recorded
				text string
				when bool
			}{
				// Only whole ProtocolMessages are recorded together with their fields.
				{&all.messages, step.Expect.Message, step.Expect.Parsed != nil},
				{&all.bundles, step.Expect.Bundle, true},
				{&all.givenMessages, step.Message, step.Cmd == "decrypt"},
				{&all.givenBundles, step.Bundle, true},
			}
			for _, list := range lists {
				if list.text == "" || !list.when {
					continue
				}
				b, err := hex.DecodeString(list.text)
				if err != nil {
					return all, fmt.Errorf("%s step %d: %w", session.Name, step.I, err)
				}
				*list.to = append(*list.to, recorded{session.Name, step.I, b, step.Expect.OK})
			}
		}
	}
	return all, nil
})
