package keyproof

import (
	"crypto/ed25519"
	"testing"
)

func TestProofBindsRoleChainAndAccount(t *testing.T) {
	pub, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	p := Sign(key, Operator, "campanile-1", "camp1a")
	if err := Check(pub, p, Operator, "campanile-1", "camp1a"); err != nil {
		t.Errorf("own proof: %v", err)
	}
	for _, other := range [][3]string{{Tower, "campanile-1", "camp1a"}, {Operator, "campanile-2", "camp1a"}, {Operator, "campanile-1", "camp1b"}} {
		if Check(pub, p, other[0], other[1], other[2]) == nil {
			t.Errorf("proof is also good for %v", other)
		}
	}
	if Check(pub[:31], p, Operator, "campanile-1", "camp1a") == nil || Check(pub, nil, Operator, "campanile-1", "camp1a") == nil {
		t.Error("a short key or an empty proof passes")
	}
}
