// Batch Keccak-256 (the permutation of FIPS 202 with the padding that Ethereum uses), two messages at a time in the two
// 64-bit lanes of WebAssembly SIMD. AssemblyScript: `node local/commands/epoch/build-keccak.ts` compiles it to
// kernel-bytes.ts. A state is 25 lanes of 16 bytes; lane i of message m stands at STATE + 16 i + 8 m.

const STATE: usize = memory.data(400, 16)
const BLOCK_LANES: i32 = 17

const ROUND_CONSTANTS: usize = memory.data<u64>([
  0x0000000000000001, 0x0000000000008082, 0x800000000000808a, 0x8000000080008000,
  0x000000000000808b, 0x0000000080000001, 0x8000000080008081, 0x8000000000008009,
  0x000000000000008a, 0x0000000000000088, 0x0000000080008009, 0x000000008000000a,
  0x000000008000808b, 0x800000000000008b, 0x8000000000008089, 0x8000000000008003,
  0x8000000000008002, 0x8000000000000080, 0x000000000000800a, 0x800000008000000a,
  0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
])

// @ts-ignore: decorator
@inline
function rotated(x: v128, bits: i32): v128 {
  return v128.or(i64x2.shl(x, bits), i64x2.shr_u(x, 64 - bits))
}

/** Keccak-f[1600] on both messages. */
function permute(): void {
  let a0 = v128.load(STATE, 0)
  let a1 = v128.load(STATE, 16)
  let a2 = v128.load(STATE, 32)
  let a3 = v128.load(STATE, 48)
  let a4 = v128.load(STATE, 64)
  let a5 = v128.load(STATE, 80)
  let a6 = v128.load(STATE, 96)
  let a7 = v128.load(STATE, 112)
  let a8 = v128.load(STATE, 128)
  let a9 = v128.load(STATE, 144)
  let a10 = v128.load(STATE, 160)
  let a11 = v128.load(STATE, 176)
  let a12 = v128.load(STATE, 192)
  let a13 = v128.load(STATE, 208)
  let a14 = v128.load(STATE, 224)
  let a15 = v128.load(STATE, 240)
  let a16 = v128.load(STATE, 256)
  let a17 = v128.load(STATE, 272)
  let a18 = v128.load(STATE, 288)
  let a19 = v128.load(STATE, 304)
  let a20 = v128.load(STATE, 320)
  let a21 = v128.load(STATE, 336)
  let a22 = v128.load(STATE, 352)
  let a23 = v128.load(STATE, 368)
  let a24 = v128.load(STATE, 384)
  for (let round: usize = 0; round < 192; round += 8) {
    // theta
    let c0 = v128.xor(v128.xor(v128.xor(a0, a5), v128.xor(a10, a15)), a20)
    let c1 = v128.xor(v128.xor(v128.xor(a1, a6), v128.xor(a11, a16)), a21)
    let c2 = v128.xor(v128.xor(v128.xor(a2, a7), v128.xor(a12, a17)), a22)
    let c3 = v128.xor(v128.xor(v128.xor(a3, a8), v128.xor(a13, a18)), a23)
    let c4 = v128.xor(v128.xor(v128.xor(a4, a9), v128.xor(a14, a19)), a24)
    let d0 = v128.xor(c4, rotated(c1, 1))
    let d1 = v128.xor(c0, rotated(c2, 1))
    let d2 = v128.xor(c1, rotated(c3, 1))
    let d3 = v128.xor(c2, rotated(c4, 1))
    let d4 = v128.xor(c3, rotated(c0, 1))
    // rho and pi
    let b0 = v128.xor(a0, d0)
    let b10 = rotated(v128.xor(a1, d1), 1)
    let b20 = rotated(v128.xor(a2, d2), 62)
    let b5 = rotated(v128.xor(a3, d3), 28)
    let b15 = rotated(v128.xor(a4, d4), 27)
    let b16 = rotated(v128.xor(a5, d0), 36)
    let b1 = rotated(v128.xor(a6, d1), 44)
    let b11 = rotated(v128.xor(a7, d2), 6)
    let b21 = rotated(v128.xor(a8, d3), 55)
    let b6 = rotated(v128.xor(a9, d4), 20)
    let b7 = rotated(v128.xor(a10, d0), 3)
    let b17 = rotated(v128.xor(a11, d1), 10)
    let b2 = rotated(v128.xor(a12, d2), 43)
    let b12 = rotated(v128.xor(a13, d3), 25)
    let b22 = rotated(v128.xor(a14, d4), 39)
    let b23 = rotated(v128.xor(a15, d0), 41)
    let b8 = rotated(v128.xor(a16, d1), 45)
    let b18 = rotated(v128.xor(a17, d2), 15)
    let b3 = rotated(v128.xor(a18, d3), 21)
    let b13 = rotated(v128.xor(a19, d4), 8)
    let b14 = rotated(v128.xor(a20, d0), 18)
    let b24 = rotated(v128.xor(a21, d1), 2)
    let b9 = rotated(v128.xor(a22, d2), 61)
    let b19 = rotated(v128.xor(a23, d3), 56)
    let b4 = rotated(v128.xor(a24, d4), 14)
    // chi and iota
    a0 = v128.xor(v128.xor(b0, v128.andnot(b2, b1)), v128.load64_splat(ROUND_CONSTANTS + round))
    a1 = v128.xor(b1, v128.andnot(b3, b2))
    a2 = v128.xor(b2, v128.andnot(b4, b3))
    a3 = v128.xor(b3, v128.andnot(b0, b4))
    a4 = v128.xor(b4, v128.andnot(b1, b0))
    a5 = v128.xor(b5, v128.andnot(b7, b6))
    a6 = v128.xor(b6, v128.andnot(b8, b7))
    a7 = v128.xor(b7, v128.andnot(b9, b8))
    a8 = v128.xor(b8, v128.andnot(b5, b9))
    a9 = v128.xor(b9, v128.andnot(b6, b5))
    a10 = v128.xor(b10, v128.andnot(b12, b11))
    a11 = v128.xor(b11, v128.andnot(b13, b12))
    a12 = v128.xor(b12, v128.andnot(b14, b13))
    a13 = v128.xor(b13, v128.andnot(b10, b14))
    a14 = v128.xor(b14, v128.andnot(b11, b10))
    a15 = v128.xor(b15, v128.andnot(b17, b16))
    a16 = v128.xor(b16, v128.andnot(b18, b17))
    a17 = v128.xor(b17, v128.andnot(b19, b18))
    a18 = v128.xor(b18, v128.andnot(b15, b19))
    a19 = v128.xor(b19, v128.andnot(b16, b15))
    a20 = v128.xor(b20, v128.andnot(b22, b21))
    a21 = v128.xor(b21, v128.andnot(b23, b22))
    a22 = v128.xor(b22, v128.andnot(b24, b23))
    a23 = v128.xor(b23, v128.andnot(b20, b24))
    a24 = v128.xor(b24, v128.andnot(b21, b20))
  }
  v128.store(STATE, a0, 0)
  v128.store(STATE, a1, 16)
  v128.store(STATE, a2, 32)
  v128.store(STATE, a3, 48)
  v128.store(STATE, a4, 64)
  v128.store(STATE, a5, 80)
  v128.store(STATE, a6, 96)
  v128.store(STATE, a7, 112)
  v128.store(STATE, a8, 128)
  v128.store(STATE, a9, 144)
  v128.store(STATE, a10, 160)
  v128.store(STATE, a11, 176)
  v128.store(STATE, a12, 192)
  v128.store(STATE, a13, 208)
  v128.store(STATE, a14, 224)
  v128.store(STATE, a15, 240)
  v128.store(STATE, a16, 256)
  v128.store(STATE, a17, 272)
  v128.store(STATE, a18, 288)
  v128.store(STATE, a19, 304)
  v128.store(STATE, a20, 320)
  v128.store(STATE, a21, 336)
  v128.store(STATE, a22, 352)
  v128.store(STATE, a23, 368)
  v128.store(STATE, a24, 384)
}

function clear(): void {
  memory.fill(STATE, 0, 400)
}

/** Puts `bytes` bytes (less than a block) and the padding into message `m` of a cleared state. */
function absorb(m: usize, from: usize, bytes: usize): void {
  let at: usize = 0
  for (; at + 8 <= bytes; at += 8) store<u64>(STATE + at * 2 + m * 8, load<u64>(from + at))
  let last: u64 = 0
  for (let i: usize = 0; at + i < bytes; i++) last |= (<u64>load<u8>(from + at + i)) << (<u64>i * 8)
  last |= (<u64>1) << (<u64>(bytes - at) * 8)
  store<u64>(STATE + at * 2 + m * 8, last)
  const end = STATE + <usize>(BLOCK_LANES - 1) * 16 + m * 8
  store<u64>(end, load<u64>(end) | 0x8000000000000000)
}

// @ts-ignore: decorator
@inline
function squeeze(m: usize, to: usize): void {
  for (let lane: usize = 0; lane < 4; lane++) store<u64>(to + lane * 8, load<u64>(STATE + lane * 16 + m * 8))
}

/** Hashes `count` messages of `bytes` bytes (at most 127) that lie one after the other into 32 bytes each. */
export function hashes(from: usize, bytes: usize, count: usize, to: usize): void {
  for (let i: usize = 0; i < count; i += 2) {
    clear()
    absorb(0, from + i * bytes, bytes)
    if (i + 1 < count) absorb(1, from + (i + 1) * bytes, bytes)
    permute()
    squeeze(0, to + i * 32)
    if (i + 1 < count) squeeze(1, to + (i + 1) * 32)
  }
}
