package codec

// Encoder turns speech into GSM full rate (TS 46.010 §5.2). Its zero value is
// ready; it is of one stream and one goroutine.
type Encoder struct {
	z1, mp int16 // of the offset compensation and the preemphasis
	z2     int32
	lar    coefficients
	u      [8]int16   // of the short term filter
	past   [120]int16 // of the long term predictor: the residual of 15 ms
	f      frame
}

// Encode appends the 33 octets of 20 ms to dst. The lowest three bits of a
// sample do not count.
func (e *Encoder) Encode(dst []byte, pcm *[Samples]int16) []byte {
	var s [Samples]int16
	e.preprocess(&s, pcm)
	e.analyse(&s)
	var d [120 + Samples]int16 // the residual, after what was before it
	copy(d[:120], e.past[:])
	for i := range e.f.sub {
		e.f.sub[i].encode((*[160]int16)(d[40*i:]), (*[40]int16)(s[40*i:]))
	}
	copy(e.past[:], d[Samples:])
	return e.f.pack(dst)
}

// preprocess takes out what is constant and lifts high frequencies (§5.2.0 to §5.2.3).
func (e *Encoder) preprocess(s, pcm *[Samples]int16) {
	for k, v := range pcm {
		so := v >> 3 << 2
		s1 := int32(so - e.z1)
		e.z1 = so
		high := e.z2 >> 15
		low := int16(e.z2 - high<<15)
		e.z2 = addLong(high*32735, s1<<15+int32(multR(low, 32735)))
		lifted := multR(e.mp, -28180)
		e.mp = int16(addLong(e.z2, 0x4000) >> 15)
		s[k] = add(e.mp, lifted)
	}
}

// analyse finds the short term filter of a frame and replaces s by what it
// leaves (§5.2.4 to §5.2.10).
func (e *Encoder) analyse(s *[Samples]int16) {
	var acf [9]int32
	autocorrelate(s, &acf)
	r := schur(&acf)
	for i, v := range r {
		t := mult(larA[i], areaRatio(v))
		t = add(add(t, larB[i]), 256) >> 9
		e.f.larc[i] = min(max(t, larMin[i]), larMax[i]) - larMin[i]
	}
	e.lar.decode(&e.f.larc)
	for n, stretch := range stretches {
		rp := e.lar.reflection(n)
		u := &e.u
		for k := stretch.from; k < stretch.to; k++ {
			d, sav := s[k], s[k]
			for i, r := range rp {
				was := u[i]
				u[i] = sav
				sav = add(was, multR(r, d))
				d = add(d, multR(r, was))
			}
			s[k] = d
		}
	}
}

// autocorrelate also rounds s, where it had to be scaled down for it (§5.2.4).
func autocorrelate(s *[Samples]int16, acf *[9]int32) {
	peak := int16(0)
	for _, v := range s {
		peak = max(peak, abs(v))
	}
	shift := 0
	if peak > 0 {
		shift = max(4-norm(int32(peak)<<16), 0)
	}
	if shift > 0 {
		for k, v := range s {
			s[k] = multR(v, 16384>>(shift-1))
		}
	}
	for k := range acf {
		sum := int32(0)
		for i, v := range s[k:] {
			sum += int32(v) * int32(s[i])
		}
		acf[k] = sum << 1
	}
	for k := range s {
		s[k] <<= shift
	}
}

// schur gives the reflection coefficients of an autocorrelation (§5.2.5).
func schur(acf *[9]int32) (r [8]int16) {
	if acf[0] == 0 {
		return r
	}
	var p, k [9]int16
	shift := norm(acf[0])
	for i, v := range acf {
		p[i] = int16(v << shift >> 16)
	}
	k = p
	for n := range r {
		t := abs(p[1])
		if p[0] < t {
			return r
		}
		r[n] = div(t, p[0])
		if p[1] > 0 {
			r[n] = -r[n]
		}
		p[0] = add(p[0], multR(p[1], r[n]))
		for m := 1; m < 8-n; m++ {
			next := p[m+1]
			p[m] = add(next, multR(k[m], r[n]))
			k[m] = add(k[m], multR(next, r[n]))
		}
	}
	return r
}

// areaRatio approximates the logarithm of an area ratio (§5.2.6).
func areaRatio(r int16) int16 {
	t := abs(r)
	switch {
	case t < 22118:
		t >>= 1
	case t < 31130:
		t -= 11059
	default:
		t = (t - 26112) << 2
	}
	if r < 0 {
		return -t
	}
	return t
}

// encode codes the residual d of 5 ms. dp holds the 120 samples that went before
// and takes the 40 a decoder will have.
func (s *subframe) encode(dp *[160]int16, d *[40]int16) {
	s.predict((*[120]int16)(dp[:]), d)
	var wt [50]int16 // five zeros on each side
	b, lag := gain[s.bc], 120-int(s.nc)
	predicted := (*[40]int16)(dp[120:])
	for k := range d {
		predicted[k] = multR(b, dp[lag+k])
		wt[5+k] = sub(d[k], predicted[k])
	}
	var x [40]int16
	weigh(&x, &wt)
	xm := s.grid(&x)
	s.quantize(&xm)
	var e [40]int16
	s.excitation(&e)
	for k := range e {
		predicted[k] = add(predicted[k], e[k])
	}
}

// predict finds lag and gain of the long term predictor (§5.2.11).
func (s *subframe) predict(past *[120]int16, d *[40]int16) {
	peak := int16(0)
	for _, v := range d {
		peak = max(peak, abs(v))
	}
	shift := 0
	if peak > 0 {
		shift = max(6-norm(int32(peak)<<16), 0)
	}
	var wt [40]int32
	for k, v := range d {
		wt[k] = int32(v >> shift)
	}
	best := int32(0)
	s.nc = 40
	for lag := 40; lag <= 120; lag += 4 {
		for i, sum := range correlate(past, &wt, lag) {
			if sum > best && lag+i <= 120 {
				s.nc, best = int16(lag+i), sum
			}
		}
	}
	best = best << 1 >> (6 - shift)
	power := int32(0)
	for _, v := range past[120-int(s.nc):][:40] {
		v >>= 3
		power += int32(v) * int32(v)
	}
	power <<= 1
	switch {
	case best <= 0:
		s.bc = 0
		return
	case best >= power:
		s.bc = 3
		return
	}
	n := norm(power)
	r, of := int16(best<<n>>16), int16(power<<n>>16)
	for s.bc = 0; s.bc < 3 && r > mult(of, gainAt[s.bc]); s.bc++ {
	}
}

// correlate gives the sums of four lags at once: each sample is fetched once for all.
func correlate(past *[120]int16, wt *[40]int32, lag int) (sum [4]int32) {
	var d, c, b int32 // what the next sample follows
	at := 120 - lag
	if at >= 3 {
		d, c, b = int32(past[at-3]), int32(past[at-2]), int32(past[at-1])
	}
	var s0, s1, s2, s3 int32
	for k, v := range (*[40]int16)(past[at:]) {
		a, w := int32(v), wt[k]
		s0 += w * a
		s1 += w * b
		s2 += w * c
		s3 += w * d
		d, c, b = c, b, a
	}
	return [4]int32{s0, s1, s2, s3}
}

// weigh is the block filter (§5.2.13).
func weigh(x *[40]int16, wt *[50]int16) {
	for k := range x {
		w := (*[11]int16)(wt[k:])
		sum := 4096 - 134*(int32(w[0])+int32(w[10])) - 374*(int32(w[1])+int32(w[9])) +
			2054*(int32(w[3])+int32(w[7])) + 5741*(int32(w[4])+int32(w[6])) + 8192*int32(w[5])
		x[k] = sat(sum >> 13)
	}
}

// grid chooses the pulses that carry most (§5.2.14).
func (s *subframe) grid(x *[40]int16) (xm [13]int16) {
	best := int32(-1)
	for m := range 4 {
		sum := int32(0)
		for i := range 13 {
			v := int32(x[m+3*i] >> 2)
			sum += v * v
		}
		if sum > best {
			s.mc, best = int16(m), sum
		}
	}
	for i := range xm {
		xm[i] = x[int(s.mc)+3*i]
	}
	return xm
}
