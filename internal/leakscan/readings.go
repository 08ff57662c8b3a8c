package leakscan

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"regexp"
	"strconv"
)

// reading is what a part of a text stands for.
type reading struct {
	form    string
	content []byte
}

var (
	hexRun     = regexp.MustCompile(`[0-9a-fA-F]{16,}`)
	base64Run  = regexp.MustCompile(`[0-9A-Za-z+/_-]{11,}`)
	hexList    = regexp.MustCompile(`(?:(?:0[xX])?[0-9a-fA-F]{1,2}[ ,:]+){7,}(?:0[xX])?[0-9a-fA-F]{1,2}`)
	number     = regexp.MustCompile(`[0-9a-fA-F]+`)
	octalList  = regexp.MustCompile(`(?:0?[0-7]{1,3}[ ,]+){7,}0?[0-7]{1,3}`)
	binaryList = regexp.MustCompile(`(?:[01]{1,8}[ ,]+){7,}[01]{1,8}`)
	intList    = regexp.MustCompile(`(?:[0-9]{1,3}[ ,]+){7,}[0-9]{1,3}`)
)

// readingsOf decodes a text in all ways in which bytes get into one.
func readingsOf(line []byte) []reading {
	all := []reading{{"as it is", line}}
	// A quoted text may be quoted again by who logs it, and by the handler.
	for quoted, n := line, 0; n < 4 && bytes.IndexByte(quoted, '\\') >= 0; n++ {
		quoted = unescape(quoted)
		all = append(all, reading{"quoted", quoted})
	}
	for _, run := range hexRun.FindAll(line, -1) {
		for offset := range 2 {
			even := run[offset : offset+(len(run)-offset)/2*2]
			decoded := make([]byte, len(even)/2)
			if _, err := hex.Decode(decoded, even); err == nil {
				all = append(all, reading{"in hex", decoded})
			}
		}
	}
	for _, run := range base64Run.FindAll(line, -1) {
		standard := bytes.ReplaceAll(bytes.ReplaceAll(run, []byte{'-'}, []byte{'+'}), []byte{'_'}, []byte{'/'})
		for offset := range 4 {
			if offset >= len(standard) {
				break
			}
			whole := standard[offset : offset+(len(standard)-offset)/4*4]
			rest := standard[offset+len(whole):]
			if len(rest) == 1 {
				rest = nil
			}
			text := append(bytes.Clone(whole), rest...)
			decoded, err := base64.RawStdEncoding.DecodeString(string(text))
			if err == nil {
				all = append(all, reading{"in base64", decoded})
			}
		}
	}
	for _, list := range []struct {
		form string
		of   *regexp.Regexp
		base int
	}{{"as numbers", intList, 10}, {"as a list in hex", hexList, 16}, {"as octal numbers", octalList, 8}, {"as binary numbers", binaryList, 2}} {
		for _, run := range list.of.FindAll(line, -1) {
			all = append(all, reading{list.form, numbersIn(run, list.base)})
		}
	}
	return all
}

// numbersIn are the bytes that numbers of a base stand for.
func numbersIn(run []byte, base int) []byte {
	var decoded []byte
	run = bytes.ReplaceAll(bytes.ReplaceAll(run, []byte("0x"), nil), []byte("0X"), nil)
	for _, digits := range number.FindAll(run, -1) {
		n, err := strconv.ParseUint(string(digits), base, 8)
		if err != nil {
			n = 0 // no byte: what stands before and behind does not belong together
		}
		decoded = append(decoded, byte(n))
	}
	return decoded
}

// unescape takes back what %q, text handlers and JSON do to a text.
func unescape(line []byte) []byte {
	out := make([]byte, 0, len(line))
	rest := string(line)
	for len(rest) > 0 {
		if rest[0] != '\\' {
			out, rest = append(out, rest[0]), rest[1:]
			continue
		}
		value, multibyte, tail, err := strconv.UnquoteChar(rest, 0)
		switch {
		case err != nil && len(rest) > 1: // \" and \/
			out, rest = append(out, rest[1]), rest[2:]
		case err != nil:
			return append(out, rest...)
		case multibyte:
			out, rest = append(out, string(value)...), tail
		default:
			out, rest = append(out, byte(value)), tail //nolint:gosec // one byte
		}
	}
	return out
}
