import {
  CreateEndpointCommand,
  CreateEndpointConfigCommand,
  CreateModelCommand,
  DescribeEndpointCommand,
  ListEndpointsCommand,
  SageMakerClient,
  type Tag,
} from '@aws-sdk/client-sagemaker'
import { OpenLedgerError } from '#schema/errors'

export interface Container {
  /** Name of the endpoint, its configuration and its model. */
  name: string
  image: string
  environment: Record<string, string>
}
export interface HostingSettings {
  roleArn: string
  instanceType: string
  prefix: string
  maxEndpoints: number
  tags: Tag[]
}

/** SageMaker endpoints of this deployment, made on demand and never twice: every name is derived, so a retry finds its own work. */
export class Hosting {
  readonly #client: SageMakerClient
  readonly #settings: HostingSettings
  constructor(settings: HostingSettings, client = new SageMakerClient({})) {
    this.#settings = settings
    this.#client = client
  }

  /** True when the endpoint answers; makes it when it is missing. Throws `unavailable` with the reason when it failed. */
  async ensure(container: Container): Promise<boolean> {
    const status = await this.#status(container.name)
    if (!status) {
      await this.#withinLimit()
      await this.#create(container)
      return false
    }
    if (status.status === 'Failed')
      throw new OpenLedgerError('unavailable', `Endpoint ${container.name} failed: ${status.reason}`)
    return status.status === 'InService' || status.status === 'Updating'
  }

  async #status(name: string): Promise<{ status: string; reason: string } | undefined> {
    try {
      const endpoint = await this.#client.send(new DescribeEndpointCommand({ EndpointName: name }))
      return { status: endpoint.EndpointStatus ?? '', reason: endpoint.FailureReason ?? '' }
    } catch (error) {
      if (/could not find/i.test((error as Error).message)) return undefined // SageMaker answers ValidationException for a missing endpoint
      throw error
    }
  }

  async #withinLimit(): Promise<void> {
    const { Endpoints = [] } = await this.#client.send(
      new ListEndpointsCommand({ NameContains: this.#settings.prefix, MaxResults: 100 }),
    )
    if (Endpoints.length >= this.#settings.maxEndpoints)
      throw new OpenLedgerError(
        'unavailable',
        `This deployment may run ${this.#settings.maxEndpoints} endpoints (hosting.maxEndpoints): delete one or raise the limit.`,
      )
  }

  async #create({ name, image, environment }: Container): Promise<void> {
    const { roleArn, instanceType, tags } = this.#settings
    await unlessThere(() =>
      this.#client.send(
        new CreateModelCommand({
          ModelName: name,
          ExecutionRoleArn: roleArn,
          PrimaryContainer: { Image: image, Environment: environment },
          Tags: tags,
        }),
      ),
    )
    await unlessThere(() =>
      this.#client.send(
        new CreateEndpointConfigCommand({
          EndpointConfigName: name,
          ProductionVariants: [
            {
              VariantName: 'all',
              ModelName: name,
              InstanceType: instanceType as 'ml.g5.xlarge',
              InitialInstanceCount: 1,
            },
          ],
          Tags: tags,
        }),
      ),
    )
    await unlessThere(() =>
      this.#client.send(new CreateEndpointCommand({ EndpointName: name, EndpointConfigName: name, Tags: tags })),
    )
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
