package transport

import (
	"testing"

	"github.com/rookery-im/rookery/x3dh"
)

func TestTopicsOfTwoIdentitiesAndPurposesDiffer(t *testing.T) {
	seen := make(map[Topic]bool)
	for i := range byte(3) {
		for parity := byte(2); parity <= 3; parity++ {
			identity := x3dh.IdentityPublicKey{parity, 32: i}
			seen[PersonalTopic(identity)] = true
			seen[ContactCodeTopic(identity)] = true
		}
	}
	if len(seen) != 12 {
		t.Errorf("%d topics of 12", len(seen))
	}
}
