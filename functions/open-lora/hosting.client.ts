import {
  CreateEndpointCommand,
  CreateEndpointConfigCommand,
  CreateModelCommand,
  DeleteEndpointCommand,
  DeleteEndpointConfigCommand,
  DeleteModelCommand,
  ListEndpointsCommand,
  ListTagsCommand,
  SageMakerClient,
} from '@aws-sdk/client-sagemaker'
import { OpenLedgerError } from '#schema/errors'
import { describeEndpoint, instancesOf, instancesOfType, isMissing } from './instances.client.ts'
import type { Endpoint } from './plan-sweep.ts'

export interface Container {
  /** Name of the endpoint, its configuration and its model. */
  name: string
  image: string
  environment: Record<string, string>
  roleArn: string
  /** Asynchronous endpoint: where answers and failures are written, and the key that encrypts them. */
  async?: { answersUri: string; failuresUri: string; keyArn: string }
}
export interface HostingSettings {
  instanceType: string
  /** Begins every name; also the value of the owner tag. */
  prefix: string
  maxEndpoints: number
  /** Instances of this type that the account may run for endpoints, everybody's counted; 0: SageMaker itself refuses. */
  accountQuota: number
}
type Listed = Omit<Endpoint, 'instances'> & { arn: string }
const OWNER_TAG = 'openledger:owner'

/** The one production variant of every endpoint. */
export const VARIANT = 'all'

/** SageMaker endpoints of this deployment, made on demand and never twice: every name is derived, so a retry finds its own work. */
export class Hosting {
  readonly #client: SageMakerClient
  readonly #settings: HostingSettings
  constructor(settings: HostingSettings, client = new SageMakerClient({})) {
    this.#settings = settings
    this.#client = client
  }

  /**
   * True when the endpoint answers; makes it when it is missing, after `mayCreate` has not thrown. Throws `unavailable`
   * with the reason when it failed, or when limits do not let it be made.
   */
  async ensure(container: Container, mayCreate: () => Promise<void> = async () => {}): Promise<boolean> {
    const endpoint = await describeEndpoint(this.#client, container.name)
    if (!endpoint) {
      await this.#withinLimits()
      await mayCreate()
      await this.#create(container)
      return false
    }
    const { EndpointStatus: status, FailureReason: reason = '' } = endpoint
    if (status === 'Failed') throw new OpenLedgerError('unavailable', `Endpoint ${container.name} failed: ${reason}`)
    return status === 'InService' || status === 'Updating'
  }

  /** The endpoints of this deployment, whatever their state: by name and, as names of others may begin alike, by owner tag. */
  async list(): Promise<Endpoint[]> {
    const found: Endpoint[] = []
    for (const endpoint of await this.#owned())
      found.push({ ...endpoint, instances: instancesOf(await describeEndpoint(this.#client, endpoint.name)) })
    return found
  }

  async #owned(): Promise<Listed[]> {
    const named = (await this.#named(`${this.#settings.prefix}-`)).filter(({ name }) =>
      name.startsWith(`${this.#settings.prefix}-`),
    )
    const owned = await Promise.all(named.map(async ({ arn }) => (await this.#owner(arn)) === this.#settings.prefix))
    return named.filter((_, i) => owned[i])
  }

  /** Takes an endpoint down, with its configuration and model; what is gone already is fine. */
  async remove(name: string): Promise<void> {
    await unlessGone(() => this.#client.send(new DeleteEndpointCommand({ EndpointName: name })))
    await this.#removeParts(name)
  }

  async #removeParts(name: string): Promise<void> {
    await unlessGone(() => this.#client.send(new DeleteEndpointConfigCommand({ EndpointConfigName: name })))
    await unlessGone(() => this.#client.send(new DeleteModelCommand({ ModelName: name })))
  }

  async #named(part?: string): Promise<Listed[]> {
    const found: Listed[] = []
    let NextToken: string | undefined
    do {
      const page = await this.#client.send(
        new ListEndpointsCommand({
          MaxResults: 100,
          ...(part ? { NameContains: part } : {}),
          ...(NextToken ? { NextToken } : {}),
        }),
      )
      for (const { EndpointName, EndpointArn, EndpointStatus, CreationTime } of page.Endpoints ?? [])
        found.push({ name: EndpointName!, arn: EndpointArn!, status: EndpointStatus!, createdAt: CreationTime! })
      NextToken = page.NextToken
    } while (NextToken)
    return found
  }

  async #owner(arn: string): Promise<string | undefined> {
    try {
      const { Tags = [] } = await this.#client.send(new ListTagsCommand({ ResourceArn: arn }))
      return Tags.find(({ Key }) => Key === OWNER_TAG)?.Value
    } catch (error) {
      if (isMissing(error)) return undefined // deleted since it was listed
      throw error
    }
  }

  async #withinLimits(): Promise<void> {
    const { maxEndpoints, accountQuota, instanceType } = this.#settings
    if ((await this.#owned()).length >= maxEndpoints)
      throw new OpenLedgerError(
        'unavailable',
        `This deployment may run ${maxEndpoints} endpoints (hosting.maxEndpoints): delete one or raise the limit.`,
      )
    if (accountQuota === 0) return
    const names = (await this.#named()).map(({ name }) => name)
    const running = await instancesOfType(this.#client, names, instanceType)
    if (running >= accountQuota)
      throw new OpenLedgerError(
        'unavailable',
        `The account may run ${accountQuota} ${instanceType} for endpoints (hosting.accountQuota), and runs ${running}.`,
      )
  }

  async #create({ name, image, environment, roleArn, async }: Container): Promise<void> {
    const { instanceType, prefix } = this.#settings
    const Tags = [{ Key: OWNER_TAG, Value: prefix }]
    await unlessThere(() =>
      this.#client.send(
        new CreateModelCommand({
          ModelName: name,
          ExecutionRoleArn: roleArn,
          PrimaryContainer: { Image: image, Environment: environment },
          Tags,
        }),
      ),
    )
    await unlessThere(() =>
      this.#client.send(
        new CreateEndpointConfigCommand({
          EndpointConfigName: name,
          ProductionVariants: [
            {
              VariantName: VARIANT,
              ModelName: name,
              InstanceType: instanceType as 'ml.g5.xlarge',
              InitialInstanceCount: 1,
            },
          ],
          ...(async
            ? {
                AsyncInferenceConfig: {
                  // The containers score one request at a time: what waits for its turn waits in SageMaker's queue.
                  ClientConfig: { MaxConcurrentInvocationsPerInstance: 1 },
                  OutputConfig: {
                    S3OutputPath: async.answersUri,
                    S3FailurePath: async.failuresUri,
                    KmsKeyId: async.keyArn,
                  },
                },
              }
            : {}),
          Tags,
        }),
      ),
    )
    await unlessThere(() =>
      this.#client.send(new CreateEndpointCommand({ EndpointName: name, EndpointConfigName: name, Tags })),
    ).catch(async (error: Error) => {
      if (error.name !== 'ResourceLimitExceeded') throw error
      // The account's own quota, which only SageMaker knows for certain: nothing is left of the try.
      await this.#removeParts(name)
      throw new OpenLedgerError('unavailable', `SageMaker refuses ${name}: ${error.message}`, { cause: error })
    })
  }
}

const unlessGone = async (remove: () => Promise<unknown>): Promise<void> => {
  try {
    await remove()
  } catch (error) {
    if (!isMissing(error)) throw error
  }
}

/** Two trainings that finish together both try: the second finds what the first made. */
const unlessThere = async (make: () => Promise<unknown>): Promise<void> => {
  try {
    await make()
  } catch (error) {
    if (!/already exist/i.test((error as Error).message)) throw error
  }
}
