// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title Public record of Datanets: who owns and curates them, under which licence, and their immutable versions.
/// @notice Holds no money and no texts: roots, counts and salted commitments only.
interface IDatanetRegistry {
    /// @param licenceHash digest of the licence text behind `licenceUri`
    struct Datanet {
        address owner;
        address pendingOwner;
        address curator;
        bytes32 licenceHash;
        string licenceUri;
    }

    /// @param manifestRoot Merkle root over the rows of the version
    /// @param dataHash digest of the version manifest
    /// @param rows number of rows
    struct Version {
        bytes32 manifestRoot;
        bytes32 dataHash;
        uint64 rows;
        uint64 publishedAt;
    }

    event DatanetRegistered(bytes32 indexed id, address indexed owner, address curator, bytes32 licenceHash, string licenceUri);
    event OwnershipOffered(bytes32 indexed id, address indexed to);
    event OwnerChanged(bytes32 indexed id, address indexed owner);
    event CuratorChanged(bytes32 indexed id, address indexed curator);
    event LicenceChanged(bytes32 indexed id, bytes32 licenceHash, string licenceUri);
    event VersionPublished(bytes32 indexed id, uint256 indexed number, bytes32 manifestRoot, uint64 rows, bytes32 dataHash);
    event Contributed(bytes32 indexed id, address indexed contributor, bytes32 indexed commitment);

    error ZeroId();
    error ZeroAddress();
    error ZeroHash();
    error DatanetExists(bytes32 id);
    error UnknownDatanet(bytes32 id);
    error NotOwner(bytes32 id, address caller);
    error NotCurator(bytes32 id, address caller);
    error NotOffered(bytes32 id, address caller);
    error EmptyVersion();
    error WrongVersion(uint256 expected, uint256 given);
    error CommitmentExists(bytes32 commitment);
    error SignatureExpired(uint256 deadline);
    error SignatureInvalid(address contributor);

    /// @notice Registers a Datanet of the sender. Ids are first come, first served.
    function register(bytes32 id, address curator, bytes32 licenceHash, string calldata licenceUri) external;

    /// @notice Offers ownership; it moves when the other side accepts. Owner.
    function offerOwnership(bytes32 id, address to) external;

    function acceptOwnership(bytes32 id) external;

    /// @notice Owner.
    function setCurator(bytes32 id, address curator) external;

    /// @notice Changes the licence for later contributions; old consents name the old hash. Owner.
    function setLicence(bytes32 id, bytes32 licenceHash, string calldata licenceUri) external;

    /// @notice Appends a version. Curator.
    /// @param number must be the count of versions + 1, so a resent transaction can only revert
    function publishVersion(bytes32 id, uint256 number, bytes32 manifestRoot, uint64 rows, bytes32 dataHash) external;

    /// @notice Records a contributor's EIP-712 consent (ERC-1271 for contracts) to the current licence. Anyone may send it.
    /// @param commitment salted digest of the contribution; the salt stays off chain, so erasing it erases the link
    function contribute(bytes32 id, address contributor, bytes32 commitment, uint256 deadline, bytes calldata signature)
        external;

    function datanet(bytes32 id) external view returns (Datanet memory record);

    function versionCount(bytes32 id) external view returns (uint256 count);

    /// @param number from 1
    function version(bytes32 id, uint256 number) external view returns (Version memory record);

    /// @return contributor who consented under this commitment; zero if none
    function contributorOf(bytes32 id, bytes32 commitment) external view returns (address contributor);
}
