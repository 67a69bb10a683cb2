package aes128

// instructions says whether the processor has AES instructions.
var instructions = hasAES()

func hasAES() bool

//go:noescape
func expand(round *[11][16]byte, key *[16]byte)

//go:noescape
func encrypt(round *[11][16]byte, dst, src *[16]byte)

//go:noescape
func chain(round *[11][16]byte, state *[16]byte, data *byte, blocks int)
