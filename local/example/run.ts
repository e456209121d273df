import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { until } from './api-client.ts'
import { importBase } from './base-import.ts'
import type { ExampleContext, ExampleSeconds } from './context.ts'
import { checkControls } from './controls.ts'
import { fillDatanet } from './datanets.ts'
import { activationOf, deposit, openOf } from './deposit.ts'
import { People } from './people.ts'
import { askAll } from './questions.ts'
import { payTable } from './table.ts'
import { datanetRecipe } from './texts.ts'
import { trainAll } from './trainings.ts'

const OPEN = 10n ** 18n

/**
 * The loop that pays, through the public API only: data -> models -> answers -> attribution -> money. Writes run.json
 * and returns the table of who was paid and why. Throws when a control does not hold.
 */
export const runExample = async (
  context: ExampleContext,
  setup: { setup: number; deploy: number },
): Promise<{ table: string; seconds: ExampleSeconds }> => {
  const { journal, log } = context
  const seconds: Record<string, number> = {}
  const timed = async <Result>(stage: keyof ExampleSeconds, work: () => Promise<Result>): Promise<Result> => {
    log(`— ${stage}`)
    const start = Date.now()
    const result = await work()
    seconds[stage] = await journal.once(`seconds ${stage}`, async () => (Date.now() - start) / 1000)
    return result
  }
  const people = new People(context)
  const operator = await people.person('operator', context.operatorsGroup)
  const curator = await people.person('curator')
  const builder = await people.person('builder')
  const client = await people.person('client')
  const baseId = await journal.once('base model', () => importBase(operator))
  // Prepaid: the client's answers, and the most that the builder's two trainings may cost (an hour each).
  for (const [name, amount] of [
    ['client', 100n],
    ['builder', 10n],
  ] as const)
    await journal.once(`deposit of ${name}`, async () =>
      deposit(context, (await people.credentials(name)).privateKey, amount * OPEN),
    )
  const { secret } = await journal.once('client key', () => client.api.post('/accounts/me/keys', { name: 'example' }))
  log('base model imported, 110 OPEN deposited to the escrow')

  const datanets = await timed('ingest', () =>
    Promise.all(['legal', 'defi'].map((name) => fillDatanet(context, people, curator, datanetRecipe(name)))),
  )
  // Deposits are read once a minute; only what is trained and asked has to be paid.
  for (const { name, api } of [client, builder])
    await journal.once(`credit of ${name}`, () =>
      until(`the deposit of the ${name}`, 180, async () =>
        BigInt((await api.get('/accounts/me')).balance) > 0n ? true : undefined,
      ),
    )
  const adapters = await timed('train', () => trainAll(context, builder, datanets, baseId))
  const answers = await timed('infer', () => askAll(context, secret, datanets))
  const receipts = await timed('attribute', () =>
    Promise.all(
      answers.map((question) =>
        until(`attribution of ${question.receiptId}`, 180, async () => {
          const receipt = await client.api.get(`/receipts/${question.receiptId}`)
          return receipt.state === 'completed' ? receipt : undefined
        }),
      ),
    ),
  )
  const paid = answers.map((question, i) => ({
    question,
    shares: receipts[i].attribution.shares,
    attribution: receipts[i].attribution,
  }))
  const broken = checkControls(paid, datanets)
  const contributors = datanets.flatMap(({ contributors: each }) => each)
  const epoch = await timed('settle', async () => {
    const number = Math.max(...receipts.map(({ epoch: stamped }) => stamped as number))
    const closed = async () => {
      const { items } = await operator.api.get('/epochs')
      return items.find((candidate: { number: number }) => candidate.number === number)
    }
    if (!(await closed())) await operator.api.post('/epochs:close')
    return until(
      `epoch ${number} on chain`,
      240,
      async () => {
        const found = await closed()
        return found?.state === 'settled' ? found : undefined
      },
      1000,
    )
  })
  seconds['total'] = Object.values(seconds).reduce((a, b) => a + b, 0)
  const received = await openOf(
    context,
    contributors.map(({ person }) => person.address),
  )
  const accrued = await Promise.all(contributors.map(({ person }) => operator.api.get(`/payees/${person.address}`)))
  const payees = contributors.map(({ person }, i) => ({
    name: person.name,
    address: person.address,
    accrued: accrued[i].accrued as string,
    paid: String(received[i]),
  }))
  const run = {
    api: context.api,
    keys: { client: secret },
    people: {
      operator: operator.token,
      curator: curator.token,
      builder: builder.token,
      contributors: Object.fromEntries(
        contributors.map(({ person }) => [person.name, { token: person.token, address: person.address }]),
      ),
    },
    chain: { rpcUrl: context.chain.rpcUrl, chainId: context.chain.chainId, contracts: context.chain.contracts },
    datanets: datanets.map(({ id, recipe, version }) => ({
      id,
      name: recipe.name,
      versions: Array.from({ length: version }, (_, i) => i + 1),
    })),
    adapters,
    inferences: paid.map(({ question, shares, attribution }) => ({
      receiptId: question.receiptId,
      adapter: question.adapter,
      fee: question.fee,
      unattributed: attribution.unattributed,
      shares,
    })),
    epoch: {
      number: epoch.number,
      root: epoch.root,
      transactionHash: await activationOf(context, epoch.number),
      total: epoch.total,
    },
    payees,
    seconds: { ...setup, ...seconds },
  }
  const file = join(context.dir, 'run.json')
  writeFileSync(file, `${JSON.stringify(run, null, 2)}\n`, { mode: 0o600 })
  chmodSync(file, 0o600)
  if (broken.length > 0) throw new Error(`the example's controls do not hold:\n- ${broken.join('\n- ')}`)
  return { table: payTable(datanets, paid, payees), seconds: seconds as unknown as ExampleSeconds }
}
