package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// plain is a text of somebody else as it may be written to a terminal, on one line:
// what does not print, such as what controls a terminal or the direction of writing,
// is shown by its number.
func plain(text string) string {
	var b strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && size == 1:
			_, _ = fmt.Fprintf(&b, `\x%02x`, text[0])
		case unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		}
		text = text[size:]
	}
	return b.String()
}

// plainJSON escapes in JSON what plain escapes: it stands in strings only, and JSON
// itself does not ask for it.
func plainJSON(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for _, r := range string(text) {
		switch high, low := utf16.EncodeRune(r); {
		case r == '\n' || unicode.IsPrint(r): // encoded on one line, which ends with it
			out = utf8.AppendRune(out, r)
		case high == utf8.RuneError:
			out = fmt.Appendf(out, `\u%04x`, r)
		default:
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		}
	}
	return out
}

// said is an error as it is written: it may quote others, such as what a node has
// answered.
func said(err error) string {
	lines := strings.Split(err.Error(), "\n")
	for i, line := range lines {
		lines[i] = plain(strings.TrimPrefix(line, "rookery: ")) // the program says its name itself
	}
	return strings.Join(lines, "\n")
}

// inOneLine is said in the middle of something else.
func inOneLine(err error) string { return strings.Join(strings.Fields(said(err)), " ") }

// writeIndented writes a text of somebody else line by line, so that none of it looks
// like a line of ours.
func writeIndented(w io.Writer, text string) error {
	for line := range strings.SplitSeq(strings.TrimRight(text, "\r\n"), "\n") {
		if _, err := fmt.Fprintf(w, "    %s\n", plain(strings.TrimSuffix(line, "\r"))); err != nil {
			return err
		}
	}
	return nil
}
