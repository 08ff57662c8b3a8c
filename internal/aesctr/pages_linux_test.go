package aesctr

import (
	"bytes"
	"syscall"
	"testing"
)

// Where the source or the destination ends with its page, or begins with it,
// nothing beyond is read or written: the pages beside it are forbidden, and a
// touch ends the test.
func TestNothingBesideIsRead(t *testing.T) {
	page := syscall.Getpagesize()
	src, dst := betweenForbiddenPages(t, page), betweenForbiddenPages(t, page)
	onEveryPath(t, func(t *testing.T) {
		source := seeded("pages")
		_, _ = source.Read(src)
		key, iv := [32]byte(drawn(source, 32)), [16]byte(drawn(source, 16))
		for n := range 401 {
			for _, at := range []int{0, page - n} {
				want := standard(src[at:at+n], &key, &iv)
				if XORKeyStream(dst[at:at+n], src[at:at+n], &key, &iv); !bytes.Equal(dst[at:at+n], want) {
					t.Fatalf("%d bytes at %d: another result", n, at)
				}
				keyAtEnd, ivAtEnd := (*[32]byte)(src[page-32:]), (*[16]byte)(dst[page-16:])
				want = standard(src[:n], keyAtEnd, ivAtEnd)
				if XORKeyStream(dst[:n], src[:n], keyAtEnd, ivAtEnd); !bytes.Equal(dst[:n], want) {
					t.Fatalf("%d bytes, key and counter at the end: another result", n)
				}
			}
		}
	})
}

func betweenForbiddenPages(t *testing.T, page int) []byte {
	t.Helper()
	area, err := syscall.Mmap(-1, 0, 3*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Munmap(area); err != nil {
			t.Error(err)
		}
	})
	for _, beside := range [][]byte{area[:page], area[2*page:]} {
		if err := syscall.Mprotect(beside, syscall.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	return area[page : 2*page : 2*page]
}
