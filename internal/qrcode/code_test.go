package qrcode

import (
	"bytes"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/makiuchi-d/gozxing"
)

func pictureOf(t *testing.T, text string) []byte {
	t.Helper()
	code, err := New(text)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := code.WritePNG(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func decoded(t *testing.T, picture []byte) image.Image {
	t.Helper()
	m, _, err := image.Decode(bytes.NewReader(picture))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func asPNG(t *testing.T, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// drawn is a picture whose pixels come from another one.
func drawn(w, h int, at func(x, y int) color.Color) image.Image {
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			m.Set(x, y, at(x, y))
		}
	}
	return m
}

const someCode = "ROOKERY:1:BIQQGG4EYVLHWETEICMV2PWVVK5AKZOXDYMDIYCIDH7ZYF7V5HK52B4PCJHQUJBQME4GMNLEGZSS2MLDGJRC2NDEGNSS2ODGHEYC2YJRMIZGGM3EGRSTKZRWCITQUIICJVFWZUJWCAZMVG6SV245SAFKJVC5T2WYBLEUEM3UYRI2OJKNA5TBAAIYAEREDMLJLQBNMIS5W63Y37NGN26TZDIV34H4OFABFN5H3OMTNXVR3NS2DGB5Z7EMJ62DAQJWLCSUJTUOUT4UFNODXQSOFGHWMU3OGTOU65WACKEAQC6KPJXXZ6SBRDPQUCBQ"

// What is drawn is read back: as it is, as a photograph would have it, turned, light
// on dark, and small in a large picture.
func TestQRCodesAreReadFromPictures(t *testing.T) {
	original := decoded(t, pictureOf(t, someCode))
	side := original.Bounds().Dx()
	var photograph bytes.Buffer
	if err := jpeg.Encode(&photograph, original, &jpeg.Options{Quality: 40}); err != nil {
		t.Fatal(err)
	}
	for name, picture := range map[string][]byte{
		"as it is": asPNG(t, original),
		"a JPEG":   photograph.Bytes(),
		"turned":   asPNG(t, drawn(side, side, func(x, y int) color.Color { return original.At(y, side-1-x) })),
		"light on dark": asPNG(t, drawn(side, side, func(x, y int) color.Color {
			r, _, _, _ := original.At(x, y).RGBA()
			return color.Gray{255 - byte(r>>8)}
		})),
		"half as large": asPNG(t, drawn(side/2, side/2, func(x, y int) color.Color { return original.At(2*x, 2*y) })),
		"in a large picture": asPNG(t, drawn(2*side, 2*side, func(x, y int) color.Color {
			if p := image.Pt(x-side/3, y-side/2); p.In(original.Bounds()) {
				return original.At(p.X, p.Y)
			}
			return color.Gray{200}
		})),
	} {
		got, err := Read(bytes.NewReader(picture))
		if err != nil || got != someCode {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// The terminal shows the same modules as the picture, light ones written.
func TestQRCodesAreReadFromATerminal(t *testing.T) {
	for _, withColor := range []bool{false, true} {
		code, err := New(someCode)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		code.WriteText(&b, withColor)
		lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
		var rows [][]bool // light
		for _, line := range lines {
			if withColor {
				line = strings.TrimSuffix(strings.TrimPrefix(line, "\x1b[97;40m"), "\x1b[0m")
			}
			var upper, lower []bool
			for _, r := range line {
				upper = append(upper, r == '█' || r == '▀')
				lower = append(lower, r == '█' || r == '▄')
			}
			rows = append(rows, upper, lower)
		}
		if len(rows[0]) > 80 {
			t.Errorf("%d columns", len(rows[0]))
		}
		picture := drawn(4*len(rows[0]), 4*len(rows), func(x, y int) color.Color {
			if rows[y/4][x/4] {
				return color.White
			}
			return color.Black
		})
		if got, err := Read(bytes.NewReader(asPNG(t, picture))); err != nil || got != someCode {
			t.Errorf("%q, %v", got, err)
		}
	}
}

func TestTextThatFitsNoQRCodeIsRefused(t *testing.T) {
	for _, text := range []string{"", strings.Repeat("A", 5000)} {
		if _, err := New(text); !errors.Is(err, Err) {
			t.Errorf("%d characters: %v", len(text), err)
		}
	}
}

// hugePNG says that it is that large, in some dozen bytes.
func hugePNG(w, h uint32) []byte {
	b := []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR")
	for _, n := range []uint32{w, h} {
		b = append(b, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	b = append(b, 8, 2, 0, 0, 0)
	sum := crc32.ChecksumIEEE(b[12:])
	return append(b, byte(sum>>24), byte(sum>>16), byte(sum>>8), byte(sum))
}

func TestPicturesWithoutACodeAreRefused(t *testing.T) {
	good := pictureOf(t, someCode)
	original := decoded(t, good)
	side := original.Bounds().Dx()
	random := rand.New(rand.NewPCG(1, 2))
	for name, c := range map[string]struct {
		picture []byte
		says    string
	}{
		"nothing":          {nil, "not a picture"},
		"a text":           {[]byte(someCode), "not a picture"},
		"a GIF":            {[]byte("GIF89a\x01\x00\x01\x00\x80\x00\x00"), "not a picture"},
		"cut short":        {good[:len(good)/2], "damaged"},
		"one pixel":        {asPNG(t, drawn(1, 1, func(int, int) color.Color { return color.White })), "none found"},
		"white":            {asPNG(t, drawn(300, 300, func(int, int) color.Color { return color.White })), "none found"},
		"noise":            {asPNG(t, drawn(200, 200, func(int, int) color.Color { return color.Gray{byte(random.IntN(2) * 255)} })), "none found"},
		"half of a code":   {asPNG(t, drawn(side/2, side, func(x, y int) color.Color { return original.At(x, y) })), "none found"},
		"larger than most": {hugePNG(100_000, 100_000), "at most"},
		"larger than all":  {hugePNG(1<<31-1, 1<<31-1), "not a picture"},
		"no width":         {hugePNG(0, 5), "not a picture"},
		"too many bytes":   {make([]byte, maxPicture+1), "larger than 32 MiB"},
	} {
		if got, err := Read(bytes.NewReader(c.picture)); !errors.Is(err, Err) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// corners is a picture of as many corners of codes as there is room for.
func corners(side int) image.Image {
	corner := [7]string{"1111111", "1000001", "1011101", "1011101", "1011101", "1000001", "1111111"}
	return drawn(side, side, func(x, y int) color.Color {
		if x, y = x/2%9, y/2%9; x < 7 && y < 7 && corner[y][x] == '1' {
			return color.Black
		}
		return color.White
	})
}

// A small picture does not keep the command busy for days: the library tries every
// three of the corners that it finds.
func TestPicturesFullOfCornersAreGivenUp(t *testing.T) {
	picture := corners(900)
	_, err := look(gozxing.NewHybridBinarizer(gozxing.NewLuminanceSourceFromImage(picture)), gozxing.DecodeHintType_TRY_HARDER)
	if !errors.Is(err, Err) || !strings.Contains(err.Error(), "too many corners") {
		t.Error(err)
	}
	if _, err := find(picture); !errors.Is(err, Err) {
		t.Error(err)
	}
}

// Of a picture that was damaged comes the code, or an error: never another code, and
// never a panic. That goes for its bytes and for what it shows.
func TestDamagedPicturesGiveTheCodeOrNothing(t *testing.T) {
	good := pictureOf(t, someCode)
	original := decoded(t, good)
	random := rand.New(rand.NewPCG(5, 6))
	whole := 0
	try := func(what string, n int, picture []byte) {
		t.Helper()
		got, err := Read(bytes.NewReader(picture))
		switch {
		case err == nil && got == someCode:
			whole++
		case err == nil || !errors.Is(err, Err):
			t.Errorf("%s %d: %q, %v", what, n, got, err)
		}
	}
	for n := range 200 {
		damaged := bytes.Clone(good)
		for range 1 + random.IntN(3) {
			damaged[random.IntN(len(damaged))] ^= byte(1 + random.IntN(255))
		}
		try("bytes", n, damaged)
	}
	if whole != 0 {
		t.Errorf("%d pictures were not damaged", whole)
	}
	for n := range 6 {
		stained := image.NewGray(original.Bounds())
		for y := range stained.Rect.Dy() {
			for x := range stained.Rect.Dx() {
				stained.Set(x, y, original.At(x, y))
			}
		}
		for range 7 * n { // modules, up to about one in a hundred
			at := image.Pt(random.IntN(stained.Rect.Dx()/pixels), random.IntN(stained.Rect.Dy()/pixels)).Mul(pixels)
			draw.Draw(stained, image.Rectangle{at, at.Add(image.Pt(pixels, pixels))}, image.Black, image.Point{}, draw.Src)
		}
		try("stains", n, asPNG(t, stained))
	}
	if whole < 2 {
		t.Errorf("only %d of 6 stained pictures were read", whole)
	}
}
