"""What may be expected to go wrong at the command line, and how it is said."""

from __future__ import annotations

import psycopg2
import sqlalchemy.exc

from api.bus import Refused, Unavailable
from chronova.client import ClientError
from chronova.embedded.broker_properties import BrokerError
from chronova.embedded.jars import Missing
from chronova.embedded.libvirt_install import LibvirtMissing
from chronova.embedded.other_user import CannotPass
from chronova.embedded.postgres import PostgresFailed
from chronova.exclusive import Busy
from chronova.inspect.story import UnknownSubject
from chronova.site import SiteError
from chronova.site_id import WrongSite
from events.features import NotEnabled, TooOld
from events.log.contract import LogError
from handlers.compute.drivers.contract import DriverError
from handlers.decider.partition import ForeignLog
from projections.failures import ProjectionError
from schemas.catalog import OtherSchema

EXPECTED = (
    BrokerError,
    Busy,
    CannotPass,
    ClientError,
    DriverError,
    ForeignLog,
    LibvirtMissing,
    LogError,
    Missing,
    NotEnabled,
    OSError,
    OtherSchema,
    PostgresFailed,
    ProjectionError,
    Refused,
    SiteError,
    TooOld,
    Unavailable,
    UnknownSubject,
    WrongSite,
    psycopg2.Error,
    sqlalchemy.exc.SQLAlchemyError,
)


def sentence(error: BaseException) -> str:
    """The first line of what went wrong."""
    if isinstance(error, sqlalchemy.exc.DBAPIError) and error.orig is not None:
        error = error.orig
    return (str(error).strip() or type(error).__name__).splitlines()[0]
