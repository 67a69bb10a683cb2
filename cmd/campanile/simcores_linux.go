package main

import (
	"fmt"
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"
)

// startOn starts a program that may use n processors, the last of those that we may
// use. It inherits them from the thread that starts it.
func startOn(c *exec.Cmd, n int) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var ours, its unix.CPUSet
	if err := unix.SchedGetaffinity(0, &ours); err != nil {
		return fmt.Errorf("which processors may be used: %w", err)
	}
	for cpu := len(ours)*64 - 1; cpu >= 0 && its.Count() < n; cpu-- {
		if ours.IsSet(cpu) {
			its.Set(cpu)
		}
	}
	if err := unix.SchedSetaffinity(0, &its); err != nil {
		return fmt.Errorf("%d processors for %s: %w", n, c.Path, err)
	}
	defer unix.SchedSetaffinity(0, &ours)
	return c.Start()
}
