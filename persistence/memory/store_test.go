package memory_test

import (
	"testing"

	"github.com/rookery-im/rookery/persistence"
	"github.com/rookery-im/rookery/persistence/memory"
	"github.com/rookery-im/rookery/persistence/storetest"
)

func TestStoreConformance(t *testing.T) {
	storetest.Run(t, func(*testing.T) storetest.Medium {
		return storetest.Medium{Open: func() (persistence.Store, error) { return memory.New(), nil }}
	})
}
