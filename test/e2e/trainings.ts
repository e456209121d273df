import { expect, test } from 'vitest'
import { ApiClient, until } from '../../local/example/api-client.ts'
import { clientOf, loop } from './loop.ts'

/** The first Datanet's recipe, limited to a minute. */
const smallRecipe = async (name: string) => {
  const [{ id }] = loop.run.adapters
  const { baseId, datanets, price, split } = await new ApiClient(loop.run.api.baseUrl, loop.run.people.builder).get(
    `/adapters/${id}`,
  )
  const named = datanets.map((datanet: { id: string; version: number }) => ({
    id: datanet.id,
    version: datanet.version,
  }))
  return { name, baseId, datanets: named, price, split, limits: { maxSeconds: 60 } }
}

/** What a builder meets: what a training costs, how it fails, and names. */
export const trainings = (): void => {
  test('trainings cost their billable seconds, and what clients were debited is what the epoch pays', async () => {
    const builder = new ApiClient(loop.run.api.baseUrl, loop.run.people.builder)
    const { items } = await builder.get('/receipts')
    expect(items).toHaveLength(2)
    let fees = 0n
    for (const { billing, epoch } of items) {
      expect(BigInt(billing.fee)).toBe(BigInt(billing.training.seconds) * BigInt(billing.training.pricePerSecond))
      expect(billing).toMatchObject({ net: '0', platformFee: billing.fee })
      expect(billing.training.seconds).toBeGreaterThan(5)
      expect(epoch).toBe(loop.run.epoch.number)
      fees += BigInt(billing.fee)
      const training = await builder.get(`/trainings/${billing.training.trainingId}`)
      expect(training).toMatchObject({ state: 'completed', charged: billing.fee, receiptId: billing.receiptId })
    }
    const account = await builder.get('/accounts/me')
    expect(account).toMatchObject({ held: '0', spent: fees.toString(), balance: (10n ** 19n - fees).toString() })

    const client = new ApiClient(loop.run.api.baseUrl, loop.run.keys.client)
    for (const { receiptId } of loop.run.inferences) {
      const { billing, attribution } = await client.get(`/receipts/${receiptId}`)
      const refunded = attribution.status === 'full' ? BigInt(attribution.pools.residual) : 0n
      fees += BigInt(billing.fee) - refunded
    }
    const [epoch] = (await client.get('/epochs')).items.filter(
      ({ number }: { number: number }) => number === loop.run.epoch.number,
    )
    expect(epoch.debits).toBe(fees.toString())
  })

  test('a training that cannot be paid is 402 and leaves nothing', async () => {
    const [name] = Object.keys(loop.run.people.contributors)
    const poor = new ApiClient(loop.run.api.baseUrl, loop.run.people.contributors[name!].token)
    await expect(poor.post('/trainings', await smallRecipe('poor/model'))).rejects.toMatchObject({ status: 402 })
    expect(await poor.get('/accounts/me')).toMatchObject({ balance: '0', held: '0' })
  })

  test('a training that fails says why in the image’s words, costs nothing, and can be tried again', async () => {
    const builder = new ApiClient(loop.run.api.baseUrl, loop.run.people.builder)
    const before = await builder.get('/accounts/me')
    const failed = (id: string, attempt: number) =>
      until(`the end of ${id}`, 120, async () => {
        const training = await builder.get(`/trainings/${id}`)
        return training.attempt === attempt && training.state === 'failed' ? training : undefined
      })
    const { id } = await builder.post('/trainings', { ...(await smallRecipe('example/four-bits')), method: 'qlora' })
    expect(BigInt((await builder.get('/accounts/me')).held)).toBe(60n * 10n ** 15n)
    expect((await failed(id, 1)).reason).toMatch(/method-needs-gpu: qlora .* needs a GPU/)
    expect(await builder.get('/accounts/me')).toEqual(before)
    expect(await builder.post(`/trainings/${id}/retry`)).toMatchObject({ state: 'queued', attempt: 2 })
    await failed(id, 2)
    expect(await builder.get('/accounts/me')).toEqual(before)
  })

  test('a name is promoted, split and rolled back in one write, by its owner alone', async () => {
    const builder = new ApiClient(loop.run.api.baseUrl, loop.run.people.builder)
    const [{ id, name }, other] = loop.run.adapters
    const path = `/names/${name}`
    const answeredBy = async () => {
      const reply = await clientOf().completions.create({ model: name, prompt: 'This', max_tokens: 1, temperature: 0 })
      return (reply as unknown as { openledger: { adapter_id: string } }).openledger.adapter_id
    }
    expect(await builder.get(path)).toMatchObject({ adapterId: id, history: [id] })
    await expect(
      new ApiClient(loop.run.api.baseUrl, loop.run.people.curator).put(path, { adapterId: id }),
    ).rejects.toMatchObject({
      status: 404,
    })
    await expect(builder.put(path, { adapterId: other.id, expect: other.id })).rejects.toMatchObject({ status: 409 })
    await builder.put(path, { adapterId: other.id, expect: id })
    expect(await answeredBy()).toBe(other.id)
    await builder.put(path, { adapterId: id, canary: { adapterId: other.id, shareBps: 9_999 } })
    expect(await answeredBy()).toBe(other.id)
    expect(await builder.put(path, { adapterId: id })).toEqual(
      expect.not.objectContaining({ canary: expect.anything() }),
    )
    expect(await answeredBy()).toBe(id)
    expect((await builder.get(path)).history).toEqual([id, other.id])
  })
}
