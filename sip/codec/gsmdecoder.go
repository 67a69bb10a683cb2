package codec

// Decoder turns GSM full rate into speech (TS 46.010 §5.3). Its zero value is
// ready; it is of one stream and one goroutine.
type Decoder struct {
	lar  coefficients
	v    [9]int16   // of the short term filter
	past [120]int16 // of the long term predictor
	lag  int16      // the last that was in range
	msr  int16      // of the deemphasis
	f    frame      // the last one, for what is lost
	lost int
	had  bool // a frame, not long ago
}

// Decode makes the samples of 20 ms out of a frame. What is no frame leaves pcm
// and decoder as they were: ErrFrame.
func (d *Decoder) Decode(pcm *[Samples]int16, octets []byte) error {
	if err := d.f.unpack(octets); err != nil {
		return err
	}
	d.lost, d.had = 0, true
	d.synthesize(pcm)
	return nil
}

// Conceal makes 20 ms for a frame that has not come: the last one again, then
// ever more quiet, at last silence (as TS 46.011 shows how to).
func (d *Decoder) Conceal(pcm *[Samples]int16) {
	d.lost++
	if d.lost > 1 {
		for i := range d.f.sub {
			d.f.sub[i].xmaxc = max(d.f.sub[i].xmaxc-4, 0)
		}
	}
	if d.lost > 16 {
		*d = Decoder{}
	}
	if !d.had {
		*pcm = [Samples]int16{}
		return
	}
	d.synthesize(pcm)
}

func (d *Decoder) synthesize(pcm *[Samples]int16) {
	var r [120 + Samples]int16
	copy(r[:120], d.past[:])
	for i := range d.f.sub {
		d.predict(&d.f.sub[i], (*[160]int16)(r[40*i:]))
	}
	copy(d.past[:], r[Samples:])
	d.lar.decode(&d.f.larc)
	for n, stretch := range stretches {
		rp := d.lar.reflection(n)
		v := &d.v
		for k := stretch.from; k < stretch.to; k++ {
			s := r[120+k]
			for i := 7; i >= 0; i-- {
				s = sub(s, multR(rp[i], v[i]))
				v[i+1] = add(v[i], multR(rp[i], s))
			}
			v[0] = s
			d.msr = add(s, multR(d.msr, 28180))
			pcm[k] = int16(uint16(add(d.msr, d.msr)) & 0xfff8)
		}
	}
}

// predict adds the pulses of a subframe to what the long term predictor says (§5.3.2).
func (d *Decoder) predict(s *subframe, r *[160]int16) {
	if s.nc >= 40 && s.nc <= 120 {
		d.lag = s.nc
	}
	lag := max(d.lag, 40) // 40 is what it begins with (§5.3.2)
	var e [40]int16
	s.excitation(&e)
	b := gain[s.bc]
	for k, v := range e {
		r[120+k] = add(v, multR(b, r[120-int(lag)+k]))
	}
}
