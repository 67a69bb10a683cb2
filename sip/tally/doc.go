// Package tally keeps what GSM phones did at each cell, as money wants it: a stay is
// one phone's time at one cell under one ticket, and becomes a segment that the
// operator's meter is told of, with the voice and the short messages in it.
//
// Counts are cumulative and on disk before anybody is told of them, so that a process
// that is killed loses at most the voice of the last second, and nothing is told twice.
// The package decides neither who is at a cell nor what a minute costs.
package tally
