package main

import (
	"os"
	"testing"
)

// mainVariable is set where this binary is to be the command itself.
const mainVariable = "ROOKERY_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(mainVariable) != "" {
		main()
	}
	os.Exit(m.Run())
}
