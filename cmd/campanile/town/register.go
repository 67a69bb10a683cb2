package town

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"campanile.network/3gpp/aka"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/secret"
	"campanile.network/hss-chain/client"
	"campanile.network/hss-chain/hss"
	"campanile.network/hss-chain/ledger"
	"campanile.network/internal/config"
	"campanile.network/sdr/sim"
	"campanile.network/wire/home"
	"campanile.network/wire/proof"
)

// register enters on the ledger what this home is and is not there yet:
// operator, tower, channel, the virtual phones' subscriptions. When everything
// is there it asks the chain nothing, so that a halted chain stops nobody.
func (t *Town) register(ctx context.Context) error {
	if err := t.registerOperator(ctx); err != nil {
		return fmt.Errorf("register operator: %w", err)
	}
	if !t.keys.held["tower"] { // towers have homes of their own
		return nil
	}
	if err := t.registerTower(ctx); err != nil {
		return fmt.Errorf("register tower: %w", err)
	}
	if _, ok := t.model.ChannelBetween(t.operatorKey, t.keys.tower.Public()); !ok && !t.set.reserve.IsZero() {
		if err := t.chainReady(ctx); err != nil {
			return err
		}
		if _, _, err := t.chain.OpenChannel(ctx, t.operator, t.keys.tower.Public(), t.set.reserve); err != nil {
			return fmt.Errorf("open channel: %w", err)
		}
	}
	return t.registerPhones(ctx)
}

// registerTower enters the tower, or what the configuration now says otherwise
// of it.
func (t *Town) registerTower(ctx context.Context) error {
	want := ledger.Tower{Name: t.cfg.Tower.Name, ENB: t.set.enb, Cells: []id.ECGI{t.set.cell}, Prices: t.set.prices}
	have, ok := t.model.Tower(t.keys.tower.Public())
	if !ok {
		if err := t.chainReady(ctx); err != nil {
			return err
		}
		_, err := t.chain.RegisterTower(ctx, t.owner, t.keys.tower, want)
		return err
	}
	if have.Name == want.Name && have.ENB == want.ENB && slices.Equal(have.Cells, want.Cells) && have.Prices == want.Prices {
		return nil
	}
	if have.Prices != want.Prices {
		t.log.Info("a tower's new prices hold for channels opened from now on", "was", have.Prices, "is", want.Prices)
	}
	want.Key, want.Shares = have.Key, have.Shares
	if err := t.chainReady(ctx); err != nil {
		return err
	}
	_, err := t.chain.UpdateTower(ctx, t.owner, want)
	return err
}

// registerOperator does the same for the operator.
func (t *Town) registerOperator(ctx context.Context) error {
	priv, err := hss.NewNodeKey(t.keys.hpke)
	if err != nil {
		return err
	}
	o := ledger.Operator{Name: t.cfg.Network.Name, PLMNs: []id.PLMN{t.set.plmn},
		Nodes:  []ledger.HSSNode{{Key: t.hssKey, HPKE: priv.PublicKey().Bytes(), Endpoint: t.cfg.HSS.Listen}},
		Prices: []ledger.Price{{Class: proof.Proven, PerGB: t.set.prices.PerGB}}}
	for _, r := range t.cfg.Network.Ranges {
		o.Ranges = append(o.Ranges, ledger.Range(r))
	}
	have, ok := t.model.OperatorByKey(t.operatorKey)
	if !ok {
		if err := t.chainReady(ctx); err != nil {
			return err
		}
		_, err = t.chain.RegisterOperator(ctx, t.operator, t.keys.operator, o)
		return err
	}
	nodes := len(have.Nodes) == 1 && have.Nodes[0].Key == o.Nodes[0].Key && have.Nodes[0].Endpoint == o.Nodes[0].Endpoint
	if have.Name == o.Name && slices.Equal(have.PLMNs, o.PLMNs) && slices.Equal(have.Ranges, o.Ranges) && slices.Equal(have.Prices, o.Prices) && nodes {
		return nil
	}
	if err := t.chainReady(ctx); err != nil {
		return err
	}
	_, err = t.chain.UpdateOperator(ctx, t.operator, t.keys.operator, o)
	return err
}

// profile is what subscribers get when nothing else is said.
func (t *Town) profile() home.Profile {
	return home.Profile{APN: t.set.apn, QCI: 9, ARP: 8, AMBRUL: 50 * id.Mbps, AMBRDL: 100 * id.Mbps}
}

// subscribe seals subscriptions and enters them on the ledger.
func (t *Town) subscribe(ctx context.Context, subs []hss.Subscription, plan string) ([]ledger.Subscriber, client.Receipt, error) {
	if err := t.chainReady(ctx); err != nil {
		return nil, client.Receipt{}, err
	}
	recs, err := t.hss.Provision(subs, plan)
	if err != nil {
		return nil, client.Receipt{}, err
	}
	r, err := t.chain.AddSubscribers(ctx, t.operator, recs[0].Epoch, recs)
	if err != nil {
		for _, rec := range recs {
			err = errors.Join(err, t.hss.Erase(rec.ID))
		}
	}
	return recs, r, err
}

// firstGSM is the SIM of the first virtual GSM phone, behind those of LTE.
const firstGSM = 5000

// registerPhones subscribes the SIMs of the virtual phones.
func (t *Town) registerPhones(ctx context.Context) error {
	if t.cfg.Radio.Kind != "virtual" {
		return nil
	}
	var fresh []hss.Subscription
	for _, k := range []struct {
		into         *[]sim.SIM
		first, count int
	}{{&t.cards, 0, t.cfg.Radio.Phones}, {&t.gsmCards, firstGSM, t.gsmPhones()}} {
		for i := range k.count {
			s, err := t.card(k.first + i)
			if err != nil {
				return err
			}
			*k.into = append(*k.into, s)
			if v, ok := t.hss.Find(s.IMSI); ok {
				if _, ok := t.model.Subscriber(v); ok {
					continue
				}
				if err := t.hss.Erase(v); err != nil { // sealed, but the chain never had it
					return err
				}
			}
			p := t.profile()
			if p.MSISDN, err = id.ParseMSISDN(t.virtualNumber(k.first + i)); err != nil {
				return err
			}
			fresh = append(fresh, hss.Subscription{IMSI: s.IMSI, K: s.K, OPc: s.OPc, SQN: hss.Array32, DIF: aka.DIFFor(0, aka.TickAt(time.Now())), Profile: p})
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	if _, _, err := t.subscribe(ctx, fresh, "open"); err != nil {
		return fmt.Errorf("subscribe virtual phones: %w", err)
	}
	return nil
}

// virtualNumber is the telephone number of virtual phone i: one that no country has.
func (t *Town) virtualNumber(i int) string {
	return fmt.Sprintf("999%s%04d", t.set.plmn.MNC(), i+1)
}

// card reads the SIM of virtual phone i, or makes it.
func (t *Town) card(i int) (sim.SIM, error) {
	file := t.cfg.path("sims", fmt.Sprintf("%04d", i+1))
	if _, err := os.Stat(file); os.IsNotExist(err) {
		var k [32]byte
		rand.Read(k[:])
		if err := config.WriteSecret(file, k[:]); err != nil {
			return sim.SIM{}, err
		}
	}
	k, err := config.Secret(file, 32)
	if err != nil {
		return sim.SIM{}, err
	}
	prefix := t.set.plmn.MCC() + t.set.plmn.MNC()
	imsi, err := id.ParseIMSI(fmt.Sprintf("%s%0*d", prefix, 15-len(prefix), i+1))
	return sim.SIM{IMSI: imsi, K: secret.Key128(k[:16]), OPc: secret.Key128(k[16:])}, err
}
