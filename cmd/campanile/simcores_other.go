//go:build !linux

package main

import "os/exec"

// startOn starts a program. Its GOMAXPROCS alone bounds the processors it uses.
func startOn(c *exec.Cmd, _ int) error { return c.Start() }
