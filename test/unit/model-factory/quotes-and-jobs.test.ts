import { describe, expect, it } from 'vitest'
import { failedAttempt, failureReason, withoutEndpoint } from '../../../functions/model-factory/failure-reason.ts'
import { metricPoints } from '../../../functions/model-factory/metrics.ts'
import { ownTraining } from '../../../functions/model-factory/own-training.ts'
import { quoteOf, requireWithinBudget, withinCost } from '../../../functions/model-factory/quote.ts'
import { createTrainingJob, jobFile, jobNameOf, outputPrefix } from '../../../functions/model-factory/training-job.ts'
import { OpenLedgerError } from '../../../functions/schema/errors.ts'
import { hex, recipe, training } from './recipes.ts'

const limited = (limits: Record<string, unknown>) => recipe({ limits })

it('a recipe that names one Datanet twice is refused: rows of both versions would be counted twice', () => {
  const datanets = (...versions: number[]) => ({
    datanets: versions.map((version) => ({ id: `dn_${hex('a')}`, version })),
  })
  expect(() => recipe(datanets(1, 2))).toThrow('one Datanet stands twice')
  expect(() => recipe(datanets(2))).not.toThrow()
})

describe('quote', () => {
  const rows = [{ rows: 60 }, { rows: 40 }]
  it('counts steps by rows, epochs and batch, or takes the recipe’s own', () => {
    expect(quoteOf(recipe({ hyperparameters: { epochs: 3, batchSize: 8 } }), rows, 30_000, 2n)).toMatchObject({
      rows: 100,
      tokens: 10_000,
      steps: 38,
    })
    expect(quoteOf(recipe({ hyperparameters: { maxSteps: 7 } }), rows, 30_000, 2n).steps).toBe(7)
  })
  it('costs its seconds, and never more than the time limit allows', () => {
    const quote = quoteOf(recipe(), rows, 30_000, 2n)
    expect(quote.cost).toBe(BigInt(quote.seconds) * 2n)
    expect(quoteOf(limited({ maxSeconds: 60 }), rows, 3_000_000_000, 2n)).toMatchObject({ seconds: 60, cost: 120n })
  })
  it('above the recipe’s cost limit is refused before anything starts', () => {
    const quote = quoteOf(recipe(), rows, 30_000, 2n)
    expect(() => requireWithinBudget(limited({ maxCost: String(quote.cost) }), quote)).not.toThrow()
    expect(() => requireWithinBudget(limited({ maxCost: String(quote.cost - 1n) }), quote)).toThrow(
      expect.objectContaining({ code: 'budget-exceeded', param: 'limits.maxCost' }),
    )
  })
  it('a cost limit is a time limit too', () => {
    expect(withinCost(limited({ maxCost: '1000', maxSeconds: 3600 }), 10n).limits.maxSeconds).toBe(100)
    expect(withinCost(limited({ maxCost: '100000', maxSeconds: 3600 }), 10n).limits.maxSeconds).toBe(3600)
    expect(withinCost(limited({ maxSeconds: 3600 }), 10n).limits.maxSeconds).toBe(3600)
    expect(withinCost(limited({ maxCost: '1' }), 0n).limits.maxSeconds).toBe(3600)
    expect(() => withinCost(limited({ maxCost: '590' }), 10n)).toThrow(
      expect.objectContaining({ code: 'budget-exceeded' }),
    )
  })
})

describe('training job', () => {
  const settings = {
    image: 'repo:tag',
    roleArn: 'arn:role',
    instanceType: 'ml.g5.xlarge',
    bucket: 'models',
    spot: true,
  }
  const request = (spot: boolean) =>
    createTrainingJob(training(), { ...settings, spot }) as {
      TrainingJobName: string
      StoppingCondition: Record<string, number>
      InputDataConfig: { ChannelName: string; DataSource: { S3DataSource: { S3Uri: string } } }[]
      OutputDataConfig: { S3OutputPath: string; CompressionType: string }
      CheckpointConfig: { S3Uri: string }
    } & Record<string, unknown>
  it('has a name that SageMaker takes, another for each attempt', () => {
    expect(jobNameOf(training().id, 1)).toMatch(/^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$/)
    expect(jobNameOf(training().id, 2)).not.toBe(jobNameOf(training().id, 1))
  })
  it('is isolated, keeps the checkpoints of its own attempt, and waits for spot as long again as it may run', () => {
    expect(request(true)).toMatchObject({ EnableNetworkIsolation: true, EnableManagedSpotTraining: true })
    expect(request(true).StoppingCondition).toEqual({ MaxRuntimeInSeconds: 3600, MaxWaitTimeInSeconds: 7200 })
    expect(request(false).StoppingCondition).toEqual({ MaxRuntimeInSeconds: 3600 })
    expect(request(true).CheckpointConfig.S3Uri).toMatch(/\/checkpoints\/1\/$/)
  })
  it('writes where registration looks', () => {
    const { OutputDataConfig, TrainingJobName } = request(true)
    expect(OutputDataConfig.CompressionType).toBe('NONE')
    expect(`${OutputDataConfig.S3OutputPath}/${TrainingJobName}/output/model/`).toBe(
      `s3://models/${outputPrefix(training().id, TrainingJobName)}`,
    )
    expect(
      request(true)
        .InputDataConfig.map(({ ChannelName }) => ChannelName)
        .sort(),
    ).toEqual(['base', 'job', 'rows'])
  })
  it('tells the image what to train on, and fits influence only where it pays', () => {
    const base = { id: 'openledger-docs-4m', digest: hex('c', 64) } as never
    const version = { datanetId: `dn_${hex('a')}`, version: 2, root: '0xaa', rows: 10, parts: [] } as never
    expect(jobFile(training(), base, [version])).toMatchObject({
      trainingId: training().id,
      baseDigest: hex('c', 64),
      datanets: [{ id: `dn_${hex('a')}`, version: 2, root: '0xaa', rows: 10 }],
      method: 'lora',
      hyperparameters: { rank: 16, maxSequenceLength: 256 },
      influence: { enabled: true, checkpoints: 4, directions: 2040 },
      limits: { maxSeconds: 3600 },
    })
    const provenance = training({ recipe: recipe({ attribution: 'provenance' }) })
    expect(jobFile(provenance, base, [version])).toMatchObject({ influence: { enabled: false } })
  })
})

describe('what a training says', () => {
  it('metric lines become points, anything else is passed over', () => {
    expect(
      metricPoints([
        'METRIC step=3 steps=9 train_loss=2.41 lr=0.001',
        "{'loss': '2.41'}",
        'METRIC eval_loss=nan',
        'METRIC step=9 eval_loss=2 base_eval_loss=4.5e+00',
      ]),
    ).toEqual([
      { step: 3, steps: 9, train_loss: 2.41, lr: 0.001 },
      { step: 9, eval_loss: 2, base_eval_loss: 4.5 },
    ])
  })
  it('the reason of a failure is the image’s own', () => {
    const cause = JSON.stringify({ TrainingJobStatus: 'Failed', FailureReason: 'AlgorithmError: bad-rows: line 3' })
    expect(failureReason({ Error: 'States.TaskFailed', Cause: cause })).toBe('AlgorithmError: bad-rows: line 3')
    expect(failureReason({ Cause: JSON.stringify({ errorMessage: 'x' }) })).toBe('x')
    const stopped = { TrainingJobStatus: 'Stopped', SecondaryStatus: 'MaxRuntimeExceeded' }
    expect(failureReason({ Cause: JSON.stringify(stopped) })).toContain('limits.maxSeconds')
    expect(failureReason({ Cause: 'plain words' })).toBe('plain words')
    expect(failureReason({ Error: 'States.Timeout' })).toBe('States.Timeout')
    expect(failureReason({ Cause: 'x'.repeat(5000) })).toHaveLength(1024)
    const limit = { Error: 'Error', Cause: JSON.stringify({ errorMessage: 'the day is spent.' }) }
    expect(withoutEndpoint(limit)).toMatch(/its first request starts one .* the day is spent\.$/)
  })
  it('is of the attempt that failed, whether the flow said it or EventBridge said it of a dead flow', () => {
    const asked = { trainingId: `trn_${hex('1')}`, attempt: 2 }
    expect(failedAttempt({ ...asked, error: { Cause: 'why' } })).toEqual({ ...asked, reason: 'why' })
    const detail = { status: 'ABORTED', input: JSON.stringify(asked), stateMachineArn: 'arn' }
    expect(failedAttempt({ source: 'aws.states', detail })).toMatchObject({
      ...asked,
      reason: expect.stringContaining('aborted'),
    })
    expect(() => failedAttempt({ detail: { status: 'ABORTED', input: '{}' } })).toThrow()
  })
  it('somebody else’s training does not exist', () => {
    const caller = { kind: 'person', accountId: `acc_${hex('c')}`, operator: false, name: '' } as const
    expect(() => ownTraining(caller, training())).toThrow(OpenLedgerError)
    expect(ownTraining({ ...caller, accountId: training().owner }, training())).toEqual(training())
  })
})
