import { createPrivateKey, createSign, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { computeAddress, getBytes, hexlify, keccak256, SigningKey, Transaction, toBeHex } from 'ethers'
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { loadKeccak } from '../../../functions/settlement/epoch/keccak.ts'
import { LEAF_BYTES, packLeaf } from '../../../functions/settlement/epoch/leaf.ts'
import { buildTree, emptyRoots, rootOf } from '../../../functions/settlement/epoch/merkle-tree.ts'
import { ethereumSignature, parseDer } from '../../../functions/settlement/settler/der-signature.ts'
import { bumpedFees, firstFees } from '../../../functions/settlement/settler/fees.ts'
import { goalOf } from '../../../functions/settlement/settler/goal.ts'
import { newItem } from '../../../functions/settlement/settler/item.ts'
import { KmsSigner, kmsAddress } from '../../../functions/settlement/settler/kms-signer.client.ts'
import { multiproof } from '../../../functions/settlement/settler/multiproof.ts'
import { batches, due, GAS } from '../../../functions/settlement/settler/push-plan.ts'

const gwei = 10n ** 9n

describe('fees', () => {
  test('the first offer bears a doubled base fee and stops at the cap', () => {
    expect(firstFees({ baseFee: 7n * gwei, priorityFee: gwei }, 100n * gwei)).toEqual({
      maxFeePerGas: 15n * gwei,
      maxPriorityFeePerGas: gwei,
    })
    expect(firstFees({ baseFee: 7n * gwei, priorityFee: gwei }, 10n * gwei).maxFeePerGas).toBe(10n * gwei)
    expect(firstFees({ baseFee: 7n * gwei, priorityFee: 20n * gwei }, 10n * gwei).maxPriorityFeePerGas).toBe(10n * gwei)
  })

  test('a replacement raises both by at least 12.5%, follows the market, and never passes the cap', () => {
    const amount = fc.bigInt({ min: 0n, max: 10n ** 13n })
    fc.assert(
      fc.property(amount, amount, amount, amount, (base, tip, last, lastTip) => {
        const before = { maxFeePerGas: last + lastTip, maxPriorityFeePerGas: lastTip }
        const cap = 10n ** 13n
        const next = bumpedFees(before, { baseFee: base, priorityFee: tip }, cap)
        if (!next) return
        expect(next.maxFeePerGas * 8n >= before.maxFeePerGas * 9n).toBe(true)
        expect(next.maxPriorityFeePerGas * 8n >= before.maxPriorityFeePerGas * 9n).toBe(true)
        expect(next.maxPriorityFeePerGas > before.maxPriorityFeePerGas).toBe(true)
        expect(next.maxFeePerGas <= cap && next.maxPriorityFeePerGas <= next.maxFeePerGas).toBe(true)
      }),
    )
    expect(bumpedFees({ maxFeePerGas: 95n, maxPriorityFeePerGas: 1n }, { baseFee: 1n, priorityFee: 1n }, 100n)).toBe(
      undefined,
    )
  })
})

describe('goals', () => {
  const ROOT = `0x${'aa'.repeat(32)}`
  const OTHER = `0x${'bb'.repeat(32)}`
  const chain = { block: 9, time: 100, epoch: 4, root: OTHER, pending: null, pausedUntil: 0 }
  const pending = { epoch: 5, root: ROOT, activatesAt: 150 }
  const item = (kind: 'propose' | 'activate' | 'push') => newItem({ number: 5, root: ROOT, round: 0 }, kind, 0, '0x')

  test.each([
    ['propose', {}, 'due'],
    ['propose', { epoch: 3 }, 'waiting'],
    ['propose', { pending }, 'done'],
    ['propose', { pending: { ...pending, root: OTHER } }, 'refused'],
    ['propose', { epoch: 5, root: ROOT }, 'done'],
    ['propose', { epoch: 5, root: OTHER }, 'refused'],
    ['propose', { epoch: 6 }, 'done'],
    ['propose', { pausedUntil: 101 }, 'waiting'],
    ['activate', {}, 'waiting'],
    ['activate', { pending }, 'waiting'],
    ['activate', { pending, time: 150 }, 'due'],
    ['activate', { pending: { ...pending, root: OTHER }, time: 150 }, 'refused'],
    ['activate', { epoch: 5, root: ROOT }, 'done'],
    ['activate', { epoch: 5, root: OTHER }, 'refused'],
    ['push', {}, 'waiting'],
    ['push', { epoch: 5, root: ROOT }, 'due'],
    ['push', { epoch: 5, root: OTHER }, 'refused'],
    ['push', { epoch: 5, root: ROOT, pausedUntil: 101 }, 'waiting'],
    ['push', { epoch: 6 }, 'done'],
  ] as const)('%s under %j is %s', (kind, change, expected) => {
    expect(goalOf(item(kind), { ...chain, ...change }).is).toBe(expected)
  })
})

describe('push plan', () => {
  test('takes who has at least the threshold unpaid', () => {
    const earned = [5n, 10n, 10n, 3n]
    const found = due([0, 1, 2, 3], (i) => earned[i]!, [0n, 1n, 10n, 0n], 5n)
    expect(found).toEqual([
      { position: 0, amount: 5n, first: true },
      { position: 1, amount: 9n, first: false },
    ])
    expect(due([0], () => 1n, [1n], 0n)).toEqual([])
  })

  test('cuts at the gas limit and loses nobody', () => {
    const payees = Array.from({ length: 3_000 }, (_, i) => ({ position: 3 * i, amount: 1n, first: i % 2 === 0 }))
    const cut = batches(payees, 20)
    expect(cut.flat()).toEqual(payees.map(({ position }) => position))
    expect(cut.length).toBeGreaterThan(5)
    for (const batch of cut) {
      const least = batch.reduce<bigint>((gas, p) => gas + (p % 6 === 0 ? GAS.firstPayee : GAS.payee), GAS.base)
      expect(least).toBeLessThanOrEqual(14_000_000n)
    }
    expect(batches([], 20)).toEqual([])
    expect(batches([{ position: 9, amount: 1n, first: true }], 20)).toEqual([[9]])
  })
})

describe('multiproof', () => {
  const leaves = (count: number, kinds: (i: number) => 1 | 2) => {
    const packed = new Uint8Array(count * LEAF_BYTES)
    for (let i = 0; i < count; i++)
      packLeaf({ kind: kinds(i), address: toBeHex(i + 1, 20), amount: BigInt(i) }, packed, i * LEAF_BYTES)
    return packed
  }

  /** Reads a multiproof as contracts/src/EpochTree.sol does, from its description. */
  const rootFrom = (proof: ReturnType<typeof multiproof>) => {
    const stack: string[] = []
    let position = 0
    let [leaf, hash] = [0, 0]
    const [width, ...steps] = proof.plan
    const stride = 20 + width!
    const leafAt = (n: number) => {
      const [account, amount] = [
        proof.leaves.subarray(n * stride, n * stride + 20),
        proof.leaves.subarray(n * stride + 20, (n + 1) * stride),
      ]
      return new Uint8Array([1, ...account, ...new Uint8Array(16 - width!), ...amount])
    }
    for (const step of steps) {
      const level = step < 128 ? step : 0
      for (let n = step < 128 ? 1 : step - 127; n > 0; n--) {
        let node = step < 128 ? hexlify(proof.hashes[hash++]!) : keccak256(keccak256(leafAt(leaf++)))
        for (let at = position / 2 ** level; at % 2 === 1; at = Math.floor(at / 2))
          node = keccak256(stack.pop()! + node.slice(2))
        stack.push(node)
        position += 2 ** level
      }
    }
    expect([stack.length, leaf * stride, hash]).toEqual([1, proof.leaves.length, proof.hashes.length])
    return stack[0]
  }

  test('proves any set of payees', async () => {
    const keccak = await loadKeccak()
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 200 }),
        fc.integer({ min: 8, max: 12 }),
        fc.infiniteStream(fc.boolean()),
        (count, depth, coin) => {
          const packed = leaves(count, (i) => (i % 5 === 4 ? 2 : 1))
          const tree = buildTree(keccak, packed, depth)
          const empty = emptyRoots(keccak, depth)
          const positions = Array.from({ length: count }, (_, i) => i).filter((i) => i % 5 !== 4 && coin.next().value)
          if (positions.length === 0) return
          const node = (level: number, index: number) => {
            const at = index * 32
            return at < tree.levels[level]!.length ? tree.levels[level]!.subarray(at, at + 32) : empty[level]!
          }
          const proof = multiproof(positions, packed, depth, node)
          expect(rootFrom(proof)).toBe(hexlify(rootOf(keccak, tree)))
        },
      ),
      { numRuns: 40 },
    )
  })

  test('refuses client leaves, repeats and disorder', () => {
    const packed = leaves(4, (i) => (i === 2 ? 2 : 1))
    const node = () => new Uint8Array(32)
    expect(() => multiproof([1, 2], packed, 2, node)).toThrow('position 2 is not a payee leaf')
    expect(() => multiproof([1, 1], packed, 2, node)).toThrow('do not ascend')
    expect(() => multiproof([3, 1], packed, 2, node)).toThrow('do not ascend')
    expect(() => multiproof([], packed, 2, node)).toThrow('needs a payee')
  })
})

describe('KMS signer', () => {
  let key: KeyObject
  let address: string
  let spki: Uint8Array
  beforeAll(() => {
    const pair = generateKeyPairSync('ec', { namedCurve: 'secp256k1' })
    key = pair.privateKey
    spki = pair.publicKey.export({ type: 'spki', format: 'der' })
    const { d } = key.export({ format: 'jwk' })
    address = computeAddress(hexlify(Buffer.from(d!, 'base64url')))
  })

  /** KMS Sign with MessageType DIGEST: ECDSA over the given digest, DER, s not normalised. */
  const kms = (sign: (digest: Uint8Array) => Uint8Array) =>
    ({
      send: async (command: { input: { Message?: Uint8Array; MessageType?: string; SigningAlgorithm?: string } }) => {
        const { Message, MessageType, SigningAlgorithm } = command.input
        if (!Message) return { PublicKey: spki }
        expect([Message.length, MessageType, SigningAlgorithm]).toEqual([32, 'DIGEST', 'ECDSA_SHA_256'])
        return { Signature: sign(Message) }
      },
    }) as unknown as ConstructorParameters<typeof KmsSigner>[1]

  const N = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
  const integer = (value: bigint) => {
    const bytes = Buffer.from(value.toString(16).padStart(64, '0'), 'hex')
    const short = bytes.subarray(
      Math.min(
        31,
        bytes.findIndex((byte) => byte !== 0),
      ),
    )
    const signed = short[0]! >= 128 ? Buffer.concat([Buffer.from([0]), short]) : short
    return Buffer.concat([Buffer.from([2, signed.length]), signed])
  }
  const der = (r: bigint, s: bigint) => {
    const body = Buffer.concat([integer(r), integer(s)])
    return Buffer.concat([Buffer.from([0x30, body.length]), body])
  }
  const signing = (high: boolean) => (digest: Uint8Array) => {
    const { d } = key.export({ format: 'jwk' })
    const { r, s } = new SigningKey(Buffer.from(d!, 'base64url')).sign(digest)
    return der(BigInt(r), high ? N - BigInt(s) : BigInt(s))
  }
  const call = {
    to: `0x${'11'.repeat(20)}`,
    data: '0x1234',
    gasLimit: 90_000n,
    maxFeePerGas: 9n,
    maxPriorityFeePerGas: 1n,
  }

  test('reads the address out of the public key', async () => {
    expect(await kmsAddress('key', kms(signing(false)))).toBe(address)
  })

  test.each([true, false])('signs transactions that recover to the pinned address (high s: %s)', async (high) => {
    const signer = new KmsSigner({ keyId: 'key', address, chainId: 1612 }, kms(signing(high)))
    for (let nonce = 0; nonce < 12; nonce++) {
      const { raw, hash } = await signer.sign({ ...call, nonce })
      const sent = Transaction.from(raw)
      expect([sent.from, sent.nonce, sent.chainId, sent.hash]).toEqual([address, nonce, 1612n, hash])
      expect(BigInt(sent.signature!.s) <= N / 2n).toBe(true)
    }
  })

  test('parses what OpenSSL writes', () => {
    const signer = createSign('SHA256').update('x')
    const { r, s } = parseDer(signer.sign(createPrivateKey(key.export({ type: 'pkcs8', format: 'pem' }))))
    expect(r > 0n && r < N && s > 0n && s < N).toBe(true)
  })

  test('a signature of another key is refused', async () => {
    const other = new SigningKey(toBeHex(5n, 32))
    const sign = (digest: Uint8Array) => {
      const { r, s } = other.sign(digest)
      return der(BigInt(r), BigInt(s))
    }
    const signer = new KmsSigner({ keyId: 'key', address, chainId: 1612 }, kms(sign))
    await expect(signer.sign({ ...call, nonce: 0 })).rejects.toThrow(`the signature is not by ${address}`)
  })

  test('anything but a DER signature is refused', () => {
    const digest = keccak256('0x')
    const good = signing(false)(getBytes(digest))
    expect(ethereumSignature(good, digest, address).v).toBeGreaterThan(26)
    for (const bad of [
      good.subarray(1),
      good.subarray(0, -1),
      Buffer.concat([good, Buffer.from([0])]),
      Buffer.alloc(0),
    ])
      expect(() => parseDer(bad)).toThrow('not a DER signature')
  })
})
