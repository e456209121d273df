import { GetObjectCommand, ListBucketsCommand, ListObjectVersionsCommand, S3Client } from '@aws-sdk/client-s3'
import { expect, test } from 'vitest'
import { ApiClient, until } from '../../local/example/api-client.ts'
import { clientOf, loop, MINUTES } from './loop.ts'

/** Whose words an answer is made of: documents of the request, rows of a contributor who withdraws. */
export const texts = (): void => {
  test(
    'stretches of an answer that stand in the request’s own documents are shown to its payer alone',
    async () => {
      const prompt = { model: loop.run.adapters[0].name, prompt: 'This License', max_tokens: 48, temperature: 0 }
      const [choice] = (await clientOf().completions.create(prompt)).choices
      const text = choice!.text
      const documents = [
        { id: 'other', text: 'nothing of it' },
        { id: 'held', text: `It says: ${text}.` },
      ]
      const asked = await clientOf().completions.create({ ...prompt, openledger: { documents } } as typeof prompt)
      expect(asked.choices[0]!.text).toBe(text)
      const { openledger } = asked as unknown as { openledger: { receipt_id: string } }
      const payer = new ApiClient(loop.run.api.baseUrl, loop.run.keys.client)
      // biome-ignore lint/suspicious/noExplicitAny: a receipt as it is answered
      const receipt = await until<any>('the attribution of an answer with documents', 120, async () => {
        const found = await payer.get(`/receipts/${openledger.receipt_id}`)
        return found.state === 'completed' ? found : undefined
      })
      expect(receipt.documentSpans).toEqual([
        expect.objectContaining({ start: 0, end: Buffer.byteLength(text), endChar: text.length, documents: ['held'] }),
      ])
      const operator = new ApiClient(loop.run.api.baseUrl, loop.run.people.operator)
      expect(await operator.get(`/receipts/${openledger.receipt_id}`)).not.toHaveProperty('documentSpans')
    },
    3 * MINUTES,
  )

  test(
    'a withdrawn contribution is not named again, and only its contributor or curator may withdraw it',
    async () => {
      const api = new ApiClient(loop.run.api.baseUrl, loop.run.keys.client)
      const attributed = async (key: string) => {
        const { openledger } = (await clientOf().completions.create(
          { model: loop.run.adapters[0].name, prompt: 'This License', max_tokens: 64, temperature: 0 },
          { headers: { 'Idempotency-Key': key } },
        )) as unknown as { openledger: { receipt_id: string } }
        for (let tries = 0; tries < 480; tries++) {
          const receipt = await api.get(`/receipts/${openledger.receipt_id}`)
          if (receipt.state === 'completed') return receipt
          await new Promise((resolve) => setTimeout(resolve, 250))
        }
        throw new Error('the receipt stayed pending')
      }
      type Span = { owners: { contributor: string; datanetId: string }[] }
      const before = await attributed('e2e-before-withdrawal')
      const { spans } = before.attribution
      expect(spans.length).toBeGreaterThan(0)
      expect(before.spanTexts).toHaveLength(spans.length)
      for (const text of before.spanTexts) expect(Buffer.byteLength(text)).toBeGreaterThan(20)

      const { contributor, datanetId } = spans[0].owners[0]
      const datanet = await api.get(`/datanets/${datanetId}`)
      const { parts } = await api.get(`/datanets/${datanetId}/versions/${datanet.version}`)
      const { contribution } = parts.find((part: { contributor: string }) => part.contributor === contributor)
      const route = `/datanets/${datanetId}/contributions/${contribution}`
      const people: ApiClient[] = await Promise.all(
        Object.values<{ token: string }>(loop.run.people.contributors).map(
          ({ token }) => new ApiClient(loop.run.api.baseUrl, token),
        ),
      )
      const ids = await Promise.all(people.map(async (person) => (await person.get('/accounts/me')).id))
      const own = people[ids.indexOf(contributor)]!
      const other = people[ids.findIndex((id) => id !== contributor)]!
      await expect(other.post(`${route}/withdraw`, { rows: 'all' })).rejects.toMatchObject({ status: 404 })
      await expect(own.post(`${route}/withdraw`, { rows: ['none'] })).rejects.toMatchObject({ status: 400 })
      expect(await own.post(`${route}/withdraw`, { rows: 'all' })).toMatchObject({ contribution, rows: null })
      expect(await own.get(route)).toMatchObject({ state: 'withdrawn' })

      const after = await attributed('e2e-after-withdrawal')
      const named = after.attribution.spans.flatMap(({ owners }: Span) => owners.map((owner) => owner.contributor))
      expect(named).not.toContain(contributor)
      expect(after.attribution.shares.map(({ payee }: { payee: string }) => payee)).not.toContain(contributor)
      expect(after.attribution.missing).toEqual([])

      const s3 = new S3Client({ ...loop.context.aws, forcePathStyle: true })
      const { Buckets = [] } = await s3.send(new ListBucketsCommand({}))
      const Bucket = Buckets.map(({ Name }) => Name!).find((name) => name.includes('storagedata'))!
      const versionsOf = async (Prefix: string) =>
        (await s3.send(new ListObjectVersionsCommand({ Bucket, Prefix }))).Versions ?? []
      await until('the erasure', 60, async () =>
        (await versionsOf(`quarantine/${datanetId}/${contribution}`)).length === 0 ? true : undefined,
      )
      const kept = await versionsOf(`datanets/${datanetId}/parts/${contribution}/`)
      expect(kept.every(({ IsLatest }) => IsLatest)).toBe(true)
      const rows = kept.find(({ Key }) => Key!.endsWith('rows.jsonl'))!
      const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key: rows.Key! }))
      expect((await Body!.transformToString()).trim()).toBe('')
    },
    5 * MINUTES,
  )
}
