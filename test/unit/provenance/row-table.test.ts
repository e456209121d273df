import { crc32 } from 'node:zlib'
import { expect, test } from 'vitest'
import { encodeRowTable, openRowTable } from '../../../functions/attribution/row-table.ts'
import { rowId } from './world.ts'

const BLOCK = 2 ** 24
const table = Buffer.from(encodeRowTable([3, 1, 2].map((n) => ({ id: rowId(n), sequence: 900_000 * BLOCK + n }))))
const owner = (n: number) => ({ cluster: rowId(n), contributor: 'acc', sequence: 900_000 * BLOCK + n })

test('rows are found by id, others are not', () => {
  const opened = openRowTable(table, 'acc')
  expect([opened.rows, opened.lastSequence]).toEqual([3, 900_000 * BLOCK + 3])
  expect([1, 2, 3, 4].map((n) => opened.get(rowId(n)))).toEqual([owner(1), owner(2), owner(3), undefined])
  expect(opened.get('row_')).toBeUndefined()
})

test('a table is refused whichever bit is hurt, and wherever it is cut', () => {
  const refused = (bytes: Uint8Array) =>
    expect(() => openRowTable(bytes, 'acc')).toThrow(expect.objectContaining({ code: 'conflict' }))
  for (let bit = 0; bit < 8 * table.length; bit++)
    refused(table.map((byte, i) => (i === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte)))
  for (let length = 0; length < table.length; length++) refused(table.subarray(0, length))
  refused(Buffer.concat([table, Buffer.of(0)]))
})

test('a table of version 1, whose sum is of its records only, is read as before', () => {
  const old = Buffer.from(table)
  old.writeUInt32LE(1, 8)
  old.writeUInt32LE(crc32(old.subarray(32)), 16)
  expect(openRowTable(old, 'acc').get(rowId(2))).toEqual(owner(2))
})
