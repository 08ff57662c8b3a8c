package qrcode

import (
	"bytes"
	"fmt"
	"image"
	_ "image/jpeg" // photographs
	"io"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
)

const (
	// maxPicture is how large a picture's file may be, in bytes.
	maxPicture = 32 << 20
	// maxPixels is how many pixels it may have: its size says nothing of them.
	maxPixels = 32 << 20
	// maxCorners is how many corners of codes it may seem to have: the library looks at
	// every three of them.
	maxCorners = 400
)

// Read gives the text of the QR code in a picture, PNG or JPEG. Err.
func Read(r io.Reader) (string, error) {
	content, err := io.ReadAll(io.LimitReader(r, maxPicture+1))
	if err != nil {
		return "", err
	}
	if len(content) > maxPicture {
		return "", fmt.Errorf("%w: the picture is larger than %d MiB", Err, maxPicture>>20)
	}
	config, _, err := image.DecodeConfig(bytes.NewReader(content))
	if err != nil {
		return "", fmt.Errorf("%w: not a picture that can be read, PNG or JPEG: %w", Err, err)
	}
	if config.Width <= 0 || config.Height <= 0 || config.Width > maxPixels/config.Height {
		return "", fmt.Errorf("%w: a picture of %d x %d pixels, at most %d in all", Err, config.Width, config.Height, maxPixels)
	}
	picture, _, err := image.Decode(bytes.NewReader(content))
	if err != nil {
		return "", fmt.Errorf("%w: the picture is damaged: %w", Err, err)
	}
	return find(picture)
}

// find looks for a code in several ways: a photograph needs others than a
// screenshot, and some show it light on dark.
func find(picture image.Image) (string, error) {
	source := gozxing.NewLuminanceSourceFromImage(picture)
	var last error
	for _, light := range []gozxing.LuminanceSource{source, source.Invert()} {
		for _, binarizer := range []func(gozxing.LuminanceSource) gozxing.Binarizer{gozxing.NewHybridBinarizer, gozxing.NewGlobalHistgramBinarizer} {
			for _, hint := range []gozxing.DecodeHintType{gozxing.DecodeHintType_TRY_HARDER, gozxing.DecodeHintType_PURE_BARCODE} {
				text, err := look(binarizer(light), hint)
				if err == nil {
					return text, nil
				}
				last = err
			}
		}
	}
	return "", fmt.Errorf("%w: none found in the picture: %w", Err, last)
}

// look decodes in one way. Of pictures that nobody has thought of the library may
// panic; that is one without a code. Only so it can be made to stop, too.
func look(b gozxing.Binarizer, hint gozxing.DecodeHintType) (text string, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("%w: %v", Err, cause)
		}
	}()
	bitmap, err := gozxing.NewBinaryBitmap(b)
	if err != nil {
		return "", err
	}
	corners := 0
	count := gozxing.ResultPointCallback(func(gozxing.ResultPoint) {
		if corners++; corners > maxCorners {
			panic("too many corners of codes")
		}
	})
	found, err := qrcode.NewQRCodeReader().Decode(bitmap, map[gozxing.DecodeHintType]any{
		hint: true, gozxing.DecodeHintType_NEED_RESULT_POINT_CALLBACK: count,
	})
	if err != nil {
		return "", err
	}
	return found.GetText(), nil
}
