//go:build !linux

package guest

import "testing"

// Main is the last line of a TestMain: it runs the tests. Only Linux has guests.
func Main(m *testing.M) int { return m.Run() }
