package gsm7

import "unicode/utf8"

// headerSeptets is what a user data header that names one or two languages takes
// of a short message: its length octet and three octets for each, up to the next
// septet (TS 23.040 §9.2.3.24).
var headerSeptets = [3]int{0, 5, 8}

// Choose gives the alphabet in which s takes the fewest septets, the user data
// header that names its languages counted, and false when no alphabet has all of
// its characters. Among equals the one with the lower locking and then the lower
// single shift language is chosen: the default alphabet where it is as short.
//
// Not every phone knows every national table, and a short text may be shorter in
// UCS-2 with its two octets a character: whoever sends decides.
func Choose(s string) (Alphabet, bool) {
	best, cost := Alphabet{}, -1
	least := utf8.RuneCountInString(s) + headerSeptets[1] // of any but the default alphabet
	for locking := range Language(len(lockingIndex)) {
		if locking == Spanish {
			continue // no table of its own
		}
		septets, singles := count(s, locking)
		for single := range Language(len(singleIndex)) {
			n := septets + headerSeptets[min(locking, 1)+min(single, 1)]
			if singles>>single&1 != 0 && (cost < 0 || n < cost) {
				best, cost = Alphabet{locking, single}, n
			}
		}
		if cost >= 0 && cost <= least {
			break
		}
	}
	return best, cost >= 0
}

// count gives the septets of s under a locking shift table, and the set of single
// shift tables, bit n for language n, that have all characters which that table
// does not have: the same number of septets with each of them.
func count(s string, locking Language) (septets int, singles uint) {
	singles = 1<<len(singleIndex) - 1
	for _, r := range s {
		septets++
		if lockingIndex[locking].septet(r) != 0 {
			continue
		}
		septets++
		for i := range singleIndex {
			if singleIndex[i].septet(r) == 0 {
				singles &^= 1 << i
			}
		}
		if singles == 0 {
			break
		}
	}
	return septets, singles
}
