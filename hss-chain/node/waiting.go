package node

import (
	"sync"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/cometbft/cometbft/types"
)

// Included is what became of a transaction in its block.
type Included struct {
	Height int64
	Result *abci.ExecTxResult
}

// waiting are those who wait for a transaction to be in a block.
type waiting struct {
	mu   sync.Mutex
	txs  map[types.TxKey]chan Included
	next chan struct{} // closed and replaced by each block
	gas  uint64        // used by all blocks since the start
}

func (w *waiting) gasUsed() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.gas
}

func (w *waiting) nextBlock() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.next
}

// add begins to wait; false says that somebody waits for the same transaction.
func (w *waiting) add(key types.TxKey) (<-chan Included, bool) {
	c := make(chan Included, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.txs[key]; ok {
		return nil, false
	}
	w.txs[key] = c
	return c, true
}

func (w *waiting) remove(key types.TxKey) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.txs, key)
}

func (w *waiting) committed(height int64, txs [][]byte, results []*abci.ExecTxResult) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range results {
		w.gas += uint64(max(0, r.GasUsed))
	}
	close(w.next)
	w.next = make(chan struct{})
	if len(w.txs) == 0 {
		return
	}
	for i, tx := range txs {
		if c, ok := w.txs[types.Tx(tx).Key()]; ok && i < len(results) {
			c <- Included{height, results[i]}
			delete(w.txs, types.Tx(tx).Key())
		}
	}
}
