package aesctr

import "testing"

func TestOverlappingBuffersPanic(t *testing.T) {
	onEveryPath(t, func(t *testing.T) {
		var key [32]byte
		var iv [16]byte
		for _, n := range []int{1, 16, 100, 128, 129, 1024, 4096} {
			for _, shift := range []int{1, 15, 16, 64, 127, 128, 300, 1023} {
				if shift >= n {
					continue
				}
				memory := make([]byte, n+shift)
				for name, run := range map[string]func(){
					"behind": func() { XORKeyStream(memory[shift:], memory[:n], &key, &iv) },
					"before": func() { XORKeyStream(memory[:n], memory[shift:], &key, &iv) },
				} {
					if !panics(run) {
						t.Errorf("%d bytes, the destination %d bytes %s the source: no panic", n, shift, name)
					}
				}
			}
			if memory := make([]byte, 2*n); panics(func() { XORKeyStream(memory[n:], memory[:n], &key, &iv) }) {
				t.Errorf("%d bytes side by side: panic", n)
			}
		}
	})
}

func panics(run func()) (yes bool) {
	defer func() { yes = recover() != nil }()
	run()
	return false
}
